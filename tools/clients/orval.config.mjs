export default {
  paidchat: {
    input: "../../openapi.json",
    output: {
      target: "generated/orval/client.ts",
      client: "fetch",
      baseUrl: { runtime: "process.argv[2]" },
      override: { fetch: { includeHttpResponseReturnType: true } },
    },
  },
};
