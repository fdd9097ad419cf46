/* SPDX-License-Identifier: Apache-2.0
 *
 * A fast stand-in for List calls: one thread, epoll, kept-alive connections. The rows lie in one file in the order in
 * which they are listed, parted by commas, so that any page is one slice of it.
 *
 *     server ROWS INDEX        prints "port N"; ends when its standard input ends
 *
 * INDEX holds a pair of 64-bit numbers a row, where it begins in ROWS and its start in milliseconds, newest first, and
 * a last pair whose first number is the size of ROWS plus one. A path that begins with /wait-50 is answered 50
 * milliseconds after the request; where /first-20000 follows, that many calls are there: the newest. The recording of
 * a call has as many bytes as the number says with which the call's id ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 1024
#define MOST_HEAD 16384
#define NEVER INT64_MAX
#define JSON "Content-Type: application/json"

struct entry {
    uint64_t begin;
    int64_t start;
};

struct connection {
    int fd;
    int writing;        /* whether an answer is on its way or due */
    int64_t due;        /* when to begin with it, in microseconds */
    size_t got;         /* bytes of the request so far */
    char in[MOST_HEAD + 1];
    char head[1024];    /* the answer's header and the envelope's begin */
    struct iovec parts[3];
    int part;
};

static const char *rows;
static const struct entry *entries;
static int64_t row_count;
static size_t rows_size;
static int port;
static int epoll_fd;
static struct connection *connections[MOST_CONNECTIONS];
static int waiting; /* connections with an answer that is not due yet */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const void *mapped(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) < 0)
        fail(path);
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED)
        fail(path);
    close(fd);
    *size = (size_t)status.st_size;
    return data;
}

/* Find a parameter of the query; return its value's begin, or NULL. */
static const char *parameter(const char *query, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = query; at && *at; at = strchr(at, '&')) {
        if (*at == '&')
            at++;
        if (!strncmp(at, name, length) && at[length] == '=')
            return at + length + 1;
    }
    return NULL;
}

static int64_t number(const char *query, const char *name, int64_t otherwise)
{
    const char *value = parameter(query, name);
    return value && *value >= '0' && *value <= '9' ? strtoll(value, NULL, 10) : otherwise;
}

/* Return the first row, newest first, that started before a moment, or at it. */
static int64_t first_row(int64_t moment, int at_it, int64_t count)
{
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int64_t start = entries[middle].start;
        if (start < moment || (at_it && start == moment))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void answer(struct connection *c, int status, const char *header, const char *envelope, const char *data,
                   size_t size, const char *tail)
{
    size_t length = strlen(envelope) + size + strlen(tail);
    int written = snprintf(c->head, sizeof c->head, "HTTP/1.1 %d %s\r\n%s\r\nContent-Length: %zu\r\n\r\n%s", status,
                           status == 200 ? "OK" : "Other", header, length, envelope);
    c->parts[0] = (struct iovec){c->head, (size_t)written};
    c->parts[1] = (struct iovec){(void *)data, size};
    c->parts[2] = (struct iovec){(void *)tail, strlen(tail)};
    c->part = 0;
}

static void refuse(struct connection *c, int status, const char *why)
{
    char body[256];
    snprintf(body, sizeof body, "{\"detail\":{\"status\":\"error\",\"description\":\"%s\"}}", why);
    answer(c, status, JSON, body, NULL, 0, "");
}

/* Lead to the recording of a call, or send it; return whether this is what was asked for. */
static int handle_recording(struct connection *c, const char *target, int wait)
{
    const char *asked = "/v2/calls/", *signed_at = "/signed/", *end = strstr(target, "/recording");
    if (!strncmp(target, asked, strlen(asked)) && end) {
        char header[512];
        snprintf(header, sizeof header, "Location: http://127.0.0.1:%d/wait-%d%s%.*s?X-Amz-Signature=0123456789abcdef",
                 port, wait, signed_at, (int)(end - target - (int)strlen(asked)), target + strlen(asked));
        answer(c, 302, header, "", NULL, 0, "");
        return 1;
    }
    if (strncmp(target, signed_at, strlen(signed_at)))
        return 0;
    const char *size = strrchr(target, '-'), *mark = "ID3\4";
    size_t length = size ? strtoull(size + 1, NULL, 10) : 0;
    length = length < rows_size ? length : rows_size;
    answer(c, 200, "Content-Type: audio/mpeg", mark, rows, length < strlen(mark) ? 0 : length - strlen(mark), "");
    return 1;
}

/* Lay out the answer to the request in c->in, and say when it is due. */
static void handle(struct connection *c)
{
    char envelope[256];
    int64_t wait = 0;
    char *target = strchr(c->in, ' ');
    int authorized = strcasestr(c->in, "\r\nauthorization: bearer ") != NULL;
    char *end = target ? strchr(++target, ' ') : NULL;
    if (end)
        *end = 0;
    if (target && !strncmp(target, "/wait-", 6))
        wait = strtoll(target + 6, &target, 10) * 1000;
    int64_t count = row_count;
    if (target && !strncmp(target, "/first-", 7))
        count = strtoll(target + 7, &target, 10);
    c->writing = 1;
    c->due = wait ? now() + wait : 0;
    waiting += wait != 0;
    char *query = target ? strchr(target, '?') : NULL;
    if (query)
        *query++ = 0;
    if (target && !strncmp(c->in, "GET", 3) && handle_recording(c, target, (int)(wait / 1000)))
        return;
    const char *model = query ? parameter(query, "model_id") : NULL;
    if (strncmp(c->in, "GET", 3) || !target || strcmp(target, "/v2/calls")) {
        refuse(c, 404, "Not found.");
        return;
    }
    if (!authorized) {
        refuse(c, 401, "Unauthorized.");
        return;
    }
    int64_t limit = number(query, "limit", 20), offset = number(query, "offset", 0);
    if (!model || limit < 1 || limit > 100) {
        refuse(c, 400, model ? "Limit must be between 1 and 100." : "model_id is missing.");
        return;
    }
    count = count < row_count ? count : row_count;
    int64_t first = first_row(number(query, "to_date", INT64_MAX), 1, count);
    int64_t last = first_row(number(query, "from_date", INT64_MIN), 0, count);
    int64_t total = last > first ? last - first : 0;
    int64_t shown = offset >= total ? 0 : (total - offset < limit ? total - offset : limit);
    snprintf(envelope, sizeof envelope,
             "{\"status\":\"ok\",\"response\":{\"pagination\":{\"total_records\":%lld,\"limit\":%lld,\"offset\":%lld},"
             "\"calls\":[",
             (long long)total, (long long)limit, (long long)offset);
    const struct entry *begin = entries + first + (shown ? offset : 0);
    answer(c, 200, JSON, envelope, rows + begin->begin, shown ? begin[shown].begin - begin->begin - 1 : 0, "]}}");
}

static void drop(struct connection *c)
{
    waiting -= c->writing && c->due;
    connections[c->fd] = NULL;
    close(c->fd);
    free(c);
}

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* Send what is left of the answer; return whether the connection is still there. */
static int send_some(struct connection *c)
{
    while (c->part < 3) {
        ssize_t sent = writev(c->fd, c->parts + c->part, 3 - c->part);
        if (sent < 0) {
            if (errno == EAGAIN) {
                watch(c, EPOLLOUT);
                return 1;
            }
            drop(c);
            return 0;
        }
        while (c->part < 3 && (size_t)sent >= c->parts[c->part].iov_len)
            sent -= (ssize_t)c->parts[c->part++].iov_len;
        if (c->part < 3) {
            c->parts[c->part].iov_base = (char *)c->parts[c->part].iov_base + sent;
            c->parts[c->part].iov_len -= (size_t)sent;
        }
    }
    c->writing = 0;
    c->got = 0;
    watch(c, EPOLLIN);
    return 1;
}

static void receive(struct connection *c)
{
    ssize_t got = read(c->fd, c->in + c->got, MOST_HEAD - c->got);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            drop(c);
        return;
    }
    c->got += (size_t)got;
    c->in[c->got] = 0;
    if (!strstr(c->in, "\r\n\r\n")) {
        if (c->got == MOST_HEAD)
            drop(c);
        return;
    }
    handle(c); /* no client here sends a second request before the first is answered */
    if (c->due)
        watch(c, 0);
    else
        send_some(c);
}

static void welcome(int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *c = fd < MOST_CONNECTIONS ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    connections[fd] = c;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Begin with the answers that are due; return the milliseconds until the next one, -1 where there is none. */
static int send_due(void)
{
    if (!waiting)
        return -1;
    int64_t moment = now(), next = NEVER;
    for (int fd = 0; fd < MOST_CONNECTIONS; fd++) {
        struct connection *c = connections[fd];
        if (!c || !c->writing || !c->due)
            continue;
        if (c->due <= moment) {
            c->due = 0;
            waiting--;
            send_some(c);
        } else if (c->due < next) {
            next = c->due;
        }
    }
    return next == NEVER ? -1 : (int)((next - moment + 999) / 1000);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: server ROWS INDEX\n");
        return 2;
    }
    size_t index_size;
    rows = mapped(argv[1], &rows_size);
    entries = mapped(argv[2], &index_size);
    row_count = (int64_t)(index_size / sizeof *entries) - 1;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 128) < 0)
        fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = STDIN_FILENO;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    port = ntohs(address.sin_port);
    printf("port %d\n", port);
    fflush(stdout);

    struct epoll_event events[64];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, send_due());
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            char rest[64];
            if (fd == STDIN_FILENO) {
                if (read(fd, rest, sizeof rest) <= 0)
                    return 0;
            } else if (fd == listener) {
                welcome(listener);
            } else if (connections[fd] && events[i].events & EPOLLOUT) {
                send_some(connections[fd]);
            } else if (connections[fd] && events[i].events & EPOLLIN) {
                receive(connections[fd]);
            } else if (connections[fd] && events[i].events & (EPOLLERR | EPOLLHUP)) {
                drop(connections[fd]);
            }
        }
    }
}
