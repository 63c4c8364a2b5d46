/* Viewers of a feed, many in one process, that take little CPU and check what they get.

   viewers PORT COUNT PATH
   Connects them, waits for the first frame of each and prints "connected". Then, for each line "TOTAL SECONDS" on
   standard input, it waits until each viewer has got TOTAL message.posted frames since it connected, and prints when
   the last of them came, in nanoseconds of CLOCK_MONOTONIC. Entries must come in order, none missing, none twice;
   otherwise, and when time runs out, it prints what is wrong and exits with 1. From a line with a TOTAL of -1 on, they
   may be closed or cut off, and it prints when the last of them was.

   It polls and never sleeps: a server's send() would wake it, once for each viewer, and pay 1 to 3 µs of CPU for that,
   which viewers on other machines don't cost it. A slow server would pay more than a fast one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, AT_ONCE = 50, MAX_EVENTS = 512, CONNECT_S = 60, FROM_STDIN = -1 };

struct viewer {
    int fd;
    int upgraded, welcomed, ended; /* the handshake was answered; the first frame has come; it was closed or cut off */
    long seq, posted;
    char *kept; /* the start of a frame whose rest has not come yet */
    size_t kept_length;
};

static struct viewer *viewers;
static int viewer_count, welcomed_count, ended_count, may_end, epoll, port;
static const char *path;
static long awaited = -1, behind; /* how many frames are waited for, and how many viewers lack some */
static int64_t last_frame_at;
static char buffer[BUFFER];

static void fail(const char *format, ...) {
    va_list more;
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    puts("");
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void start(int number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)port);
    struct viewer *viewer = &viewers[number];
    viewer->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(viewer->fd, (struct sockaddr *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    int yes = 1, size = snprintf(buffer, BUFFER,
                                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                                 path, port);
    setsockopt(viewer->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (write(viewer->fd, buffer, (size_t)size) != size) fail("write: %s", strerror(errno));
    fcntl(viewer->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, viewer->fd, &(struct epoll_event){.events = EPOLLIN, .data.u32 = (uint32_t)number});
}

/* Returns how long the answer to the handshake is, 0 if it has not come whole. */
static size_t check_handshake(const char *data, size_t length) {
    static const char ACCEPTED[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t size = (size_t)(end + 4 - data);
    if (memcmp(data, "HTTP/1.1 101", 12) || !memmem(data, size, ACCEPTED, strlen(ACCEPTED)))
        fail("no handshake: %.*s", (int)size, data);
    return size;
}

static void text_came(struct viewer *viewer, const char *text, size_t length) {
    static const char POSTED[] = "message.posted", SEQ[] = "\"seq\":";
    if (viewer->welcomed && !memmem(text, length < 64 ? length : 64, POSTED, strlen(POSTED))) return; /* a heartbeat, or the number of viewers */
    char *found = memmem(text, length, SEQ, strlen(SEQ));
    if (!found) fail("a frame without seq: %.*s", (int)length, text);
    long seq = atol(found + strlen(SEQ));
    if (!viewer->welcomed) {
        viewer->welcomed = 1;
        welcomed_count++;
    } else {
        if (seq != viewer->seq + 1) fail("%ld came after %ld", seq, viewer->seq);
        if (++viewer->posted == awaited) behind--;
        last_frame_at = now();
    }
    viewer->seq = seq;
}

static void answer_ping(struct viewer *viewer, const char *data, size_t length) {
    char pong[6 + 125] = {(char)0x8A, (char)(0x80 | length)}; /* masked with zeros */
    memcpy(pong + 6, data, length);
    if (write(viewer->fd, pong, 6 + length) < 0) fail("pong: %s", strerror(errno));
}

/* Answer a close frame with the same, as every client does (RFC 6455, section 5.5.1). */
static void answer_close(struct viewer *viewer, const char *data, size_t length) {
    char close[6 + 125] = {(char)0x88, (char)(0x80 | length)}; /* masked with zeros */
    memcpy(close + 6, data, length);
    if (!may_end) fail("closed after %ld messages", viewer->posted);
    if (send(viewer->fd, close, 6 + length, MSG_NOSIGNAL) < 0) return; /* it was cut off as well */
}

static void end(struct viewer *viewer) {
    if (!may_end) fail("a viewer was cut off after %ld messages", viewer->posted);
    close(viewer->fd);
    viewer->ended = 1;
    ended_count++;
    last_frame_at = now();
}

/* Returns how long the frame at `data` is (RFC 6455, section 5.2), 0 if it has not come whole. */
static size_t take_frame(struct viewer *viewer, const char *data, size_t length) {
    const uint8_t *head = (const uint8_t *)data;
    if (length < 2) return 0;
    size_t start = 2, size = head[1];
    if (size >= 126) {
        start = size == 126 ? 4 : 10;
        if (length < start) return 0;
        size = 0;
        for (size_t i = 2; i < start; i++) size = size << 8 | head[i];
    }
    if (length < start + size) return 0;
    switch (head[0]) {
        case 0x81: text_came(viewer, data + start, size); break;
        case 0x88: answer_close(viewer, data + start, size); break;
        case 0x89: answer_ping(viewer, data + start, size); break;
        case 0x8A: break;
        default: fail("a frame that begins with %02x", head[0]);
    }
    return start + size;
}

static void receive(struct viewer *viewer) {
    size_t length = viewer->kept_length;
    if (length) memcpy(buffer, viewer->kept, length);
    ssize_t got = recv(viewer->fd, buffer + length, BUFFER - length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        end(viewer);
        return;
    }
    length += (size_t)got;
    size_t at = 0, taken;
    if (!viewer->upgraded) {
        at = check_handshake(buffer, length);
        viewer->upgraded = at > 0;
    }
    while (viewer->upgraded && (taken = take_frame(viewer, buffer + at, length - at))) at += taken;
    viewer->kept_length = length - at;
    if (viewer->kept_length || viewer->kept) viewer->kept = realloc(viewer->kept, viewer->kept_length + 1);
    memcpy(viewer->kept, buffer + at, viewer->kept_length);
}

/* Read a line "TOTAL SECONDS"; returns until when to wait. */
static int64_t read_order(void) {
    char line[64] = "";
    double seconds;
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    if (got <= 0) exit(0);
    if (sscanf(line, "%ld %lf", &awaited, &seconds) != 2) fail("not an order: %s", line);
    if (awaited < 0) may_end = 1;
    behind = 0;
    for (int i = 0; i < viewer_count; i++) behind += viewers[i].posted < awaited;
    return now() + (int64_t)(seconds * 1e9);
}

static void report(void) {
    for (int i = 0; i < viewer_count; i++)
        if (viewers[i].posted != awaited) fail("%ld messages instead of %ld", viewers[i].posted, awaited);
    printf("%lld\n", (long long)last_frame_at);
    fflush(stdout);
    awaited = -1;
}

/* Handle what has come; returns whether there is an order on standard input. */
static int handle_events(int timeout_ms) {
    struct epoll_event events[MAX_EVENTS];
    int ordered = 0, ready = epoll_wait(epoll, events, MAX_EVENTS, timeout_ms);
    for (int i = 0; i < ready; i++) {
        if (events[i].data.u32 == (uint32_t)FROM_STDIN)
            ordered = 1;
        else
            receive(&viewers[events[i].data.u32]);
    }
    return ordered;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    port = atoi(arguments[1]), viewer_count = atoi(arguments[2]), path = arguments[3];
    viewers = calloc((size_t)viewer_count, sizeof *viewers);
    epoll = epoll_create1(0);
    int64_t deadline = now() + CONNECT_S * 1000000000LL;
    for (int started = 0; welcomed_count < viewer_count;) {
        while (started < viewer_count && started < welcomed_count + AT_ONCE) start(started++);
        handle_events(1000);
        if (now() > deadline) fail("only %d viewers got a first frame", welcomed_count);
    }
    puts("connected");
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.u32 = (uint32_t)FROM_STDIN});
    for (;;) {
        if (handle_events(0)) deadline = read_order();
        sched_yield();
        if (awaited >= 0 && behind == 0) report();
        if (may_end && ended_count == viewer_count) {
            printf("%lld\n", (long long)last_frame_at);
            exit(0);
        }
        if (awaited >= 0 && now() > deadline) fail("%ld viewers lack messages", behind);
        if (may_end && now() > deadline) fail("%d viewers were not cut off", viewer_count - ended_count);
    }
}
