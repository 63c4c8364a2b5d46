import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** The whole loop with Java's default client, which asks to upgrade to HTTP/2: java Loop.java BOARD TEXT. */
public class Loop {
    private static final HttpClient client = HttpClient.newHttpClient();
    private static final LinkedBlockingQueue<String> frames = new LinkedBlockingQueue<>();
    private static String board;

    public static void main(String[] arguments) throws Exception {
        board = arguments[0];
        String text = arguments[1];
        WebSocket socket = client.newWebSocketBuilder()
                .buildAsync(URI.create(board.replace("http", "ws") + "/api/feed"), new Listener())
                .get(20, TimeUnit.SECONDS);
        frame("\"type\":\"snapshot\"");
        HttpRequest.Builder post = to("/api/payments")
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", UUID.randomUUID().toString())
                .POST(BodyPublishers.ofString("{\"text\": \"" + text + "\"}"));
        String payment = call(post, 201).body();
        String id = find("\"id\":\"([^\"]+)\"", payment);
        socket.sendText("{\"type\": \"watch\", \"payment_id\": \"" + id + "\"}", true);
        frame("\"status\":\"pending\"");
        String session = find("\"checkout_url\":\"[^\"]*/([^/\"]+)\"", payment);
        call(to("/sandbox/test/sessions/" + session + "/pay").POST(BodyPublishers.noBody()), 200);
        frame("\"text\":\"" + text + "\"");
        frame("\"status\":\"fulfilled\"");
        socket.abort();

        String message = find("\"message_id\":([0-9]+)", call(to("/api/payments/" + id), 200).body());
        var head = call(to("/api/messages/" + message).method("HEAD", BodyPublishers.noBody()), 200);
        HttpResponse<String> page = call(to("/api/messages"), 200);
        if (!head.body().isEmpty() || !page.body().contains("\"id\":" + message + ",")) {
            throw new AssertionError("not on the board");
        }
        call(to("/api/messages").header("If-None-Match", page.headers().firstValue("ETag").orElseThrow()), 304);
        System.out.println(message);
        System.exit(0); // without waiting for the client's idle threads
    }

    private static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(board + path));
    }

    private static HttpResponse<String> call(HttpRequest.Builder request, int status) throws Exception {
        HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() != status) {
            throw new AssertionError(answer + ": " + answer.body());
        }
        return answer;
    }

    private static void frame(String part) throws Exception {
        String frame;
        do {
            frame = frames.poll(20, TimeUnit.SECONDS);
            if (frame == null) {
                throw new AssertionError("no frame with " + part);
            }
        } while (!frame.contains(part));
    }

    private static String find(String pattern, String text) {
        var matcher = Pattern.compile(pattern).matcher(text);
        if (!matcher.find()) {
            throw new AssertionError(pattern + " is not in " + text);
        }
        return matcher.group(1);
    }

    private static class Listener implements WebSocket.Listener {
        private final StringBuilder parts = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            parts.append(data);
            if (last) {
                frames.add(parts.toString());
                parts.setLength(0);
            }
            socket.request(1);
            return null;
        }
    }
}
