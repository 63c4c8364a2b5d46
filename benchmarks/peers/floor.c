/* The floor of a fan-out: one epoll loop that sends a frame, encoded once, with one send() per socket.

   floor PORT
   GET /api/feed is a WebSocket handshake; the first frame is a snapshot without messages.
   POST /post sends its body, a message.posted as JSON, to every viewer, then answers 200. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, MAX_REQUEST = 16384, MAX_EVENTS = 256, BACKLOG = 4096 };

static const char KEY_HEADER[] = "Sec-WebSocket-Key: ";
static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */

struct client {
    char *request; /* what has arrived of it; NULL once this is a viewer */
    size_t length;
};

static struct client *clients[MAX_FDS];
static int viewers[MAX_FDS], viewer_count;
static long seq;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* --- SHA-1 (FIPS 180-4) of less than 119 bytes, and base64 --- */

static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1_block(uint32_t hash[5], const uint8_t *block) {
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? ((b & c) | (~b & d)) : i < 40 ? b ^ c ^ d : i < 60 ? ((b & c) | (b & d) | (c & d)) : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

static void sha1(const char *text, size_t length, uint8_t digest[20]) {
    uint32_t hash[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t padded[128] = {0};
    size_t size = length < 56 ? 64 : 128;
    memcpy(padded, text, length);
    padded[length] = 0x80;
    padded[size - 2] = (uint8_t)(length * 8 >> 8);
    padded[size - 1] = (uint8_t)(length * 8);
    for (size_t at = 0; at < size; at += 64) sha1_block(hash, padded + at);
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64_of_digest(const uint8_t digest[20], char out[29]) {
    static const char table[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 7; i++) {
        uint32_t bits = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | (i < 6 ? digest[3 * i + 2] : 0);
        for (int j = 0; j < 4; j++) out[4 * i + j] = table[bits >> (18 - 6 * j) & 63];
    }
    strcpy(out + 27, "=");
}

/* --- clients --- */

static void forget(int fd) {
    free(clients[fd]->request);
    free(clients[fd]);
    clients[fd] = NULL;
    for (int i = 0; i < viewer_count; i++)
        if (viewers[i] == fd) {
            viewers[i] = viewers[--viewer_count];
            break;
        }
    close(fd);
}

static size_t encode(char *frame, const char *text, size_t length) {
    frame[0] = (char)0x81; /* a whole text frame */
    size_t head = length < 126 ? 2 : 4;
    if (head == 2) {
        frame[1] = (char)length;
    } else {
        frame[1] = 126;
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
    }
    memcpy(frame + head, text, length);
    return head + length;
}

static void broadcast(const char *text, size_t length) {
    char frame[MAX_REQUEST + 4];
    size_t size = encode(frame, text, length);
    const char *number = strstr(text, "\"seq\":");
    if (number) seq = atol(number + strlen("\"seq\":"));
    for (int i = 0; i < viewer_count; i++)
        if (send(viewers[i], frame, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) shutdown(viewers[i], SHUT_RDWR);
}

static void accept_viewer(int fd, const char *key) {
    char text[64 + sizeof GUID], accepted[29], answer[256], snapshot[64];
    uint8_t digest[20];
    int length = snprintf(text, sizeof text, "%.24s%s", key, GUID);
    sha1(text, (size_t)length, digest);
    base64_of_digest(digest, accepted);
    length = snprintf(answer, sizeof answer,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n",
                      accepted);
    int said = snprintf(snapshot, sizeof snapshot, "{\"type\":\"snapshot\",\"seq\":%ld}", seq);
    length += (int)encode(answer + length, snapshot, (size_t)said);
    if (send(fd, answer, (size_t)length, MSG_NOSIGNAL) != length) die("send");
    free(clients[fd]->request);
    clients[fd]->request = NULL;
    viewers[viewer_count++] = fd;
}

/* Answer a request if all of it has arrived. */
static void answer(int fd) {
    static const char DONE[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    struct client *client = clients[fd];
    client->request[client->length] = 0;
    char *body = strstr(client->request, "\r\n\r\n");
    if (!body) return;
    body += 4;
    char *key = strcasestr(client->request, KEY_HEADER);
    if (key && key < body) {
        accept_viewer(fd, key + strlen(KEY_HEADER));
        return;
    }
    char *header = strcasestr(client->request, "Content-Length: ");
    size_t length = header && header < body ? (size_t)atol(header + strlen("Content-Length: ")) : 0;
    if (client->length < (size_t)(body - client->request) + length) return;
    if (length) broadcast(body, length);
    client->length = 0;
    if (send(fd, DONE, strlen(DONE), MSG_NOSIGNAL) < 0) die("send");
}

static void receive(int fd) {
    char ignored[512];
    struct client *client = clients[fd];
    char *into = client->request ? client->request + client->length : ignored;
    size_t room = client->request ? MAX_REQUEST - client->length - 1 : sizeof ignored;
    ssize_t got = recv(fd, into, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        forget(fd);
    } else if (client->request) {
        client->length += (size_t)got;
        answer(fd);
    }
}

static void welcome(int listener, int epoll) {
    int fd = accept(listener, NULL, NULL), yes = 1;
    if (fd < 0 || fd >= MAX_FDS) die("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    clients[fd] = calloc(1, sizeof *clients[fd]);
    clients[fd]->request = malloc(MAX_REQUEST);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG)) die("listen");
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    puts("the floor is ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                welcome(listener, epoll);
            else if (clients[events[i].data.fd])
                receive(events[i].data.fd);
        }
    }
}
