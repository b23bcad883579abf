/* Owns the listeners of the line console; its sessions are in line_session.c. Control thread. */
#include "proxy/admin/line_front.h"

#include <unistd.h>

#include "proxy/admin/line_session.h"
#include "proxy/base/alloc.h"
#include "proxy/net/listen.h"

enum { BACKLOG = 16, SOCKET_MODE = 0600 };

static void on_connection(void *arg, uv_stream_t *handle, bool is_pipe)
{
    pw_line_session_accept(arg, handle, is_pipe);
}

static enum pw_status listen_tcp(struct line_front *f, const char *address, char **error)
{
    int fd;
    enum pw_status status = pw_listen_bind_tcp(address, BACKLOG, &fd, error);
    if (status != PW_OK)
        return status;
    f->port = pw_listen_port(fd);
    f->tcp = pw_listener_new(f->loop->uv, fd, false, on_connection, f);
    close(fd);
    return PW_OK;
}

static enum pw_status listen_unix(struct line_front *f, const char *path, char **error)
{
    int fd;
    enum pw_status status = pw_listen_bind_unix(path, SOCKET_MODE, BACKLOG, &fd, error);
    if (status != PW_OK)
        return status;
    f->path = pw_strdup(path);
    f->pipe = pw_listener_new(f->loop->uv, fd, true, on_connection, f);
    close(fd);
    return PW_OK;
}

enum pw_status pw_line_front_new(const struct line_front_options *options, struct line_front **out,
                                 char **error)
{
    struct line_front *f = pw_alloc(sizeof *f);
    enum pw_status status = PW_OK;
    f->admin = options->admin;
    f->loop = options->loop;
    f->auth_always = options->auth_always;
    f->idle_us = options->idle_us ? options->idle_us : (uint64_t)PW_LINE_IDLE_S * 1000000;
    f->check_login = options->check_login;
    f->arg = options->arg;
    pw_list_init(&f->sessions);
    *error = NULL;
    if (options->address && options->address[0])
        status = listen_tcp(f, options->address, error);
    if (status == PW_OK && options->socket_path && options->socket_path[0])
        status = listen_unix(f, options->socket_path, error);
    if (status != PW_OK) {
        pw_line_front_close(f, NULL, NULL);
        f = NULL;
    }
    *out = f;
    return status;
}

int pw_line_front_port(const struct line_front *f)
{
    return f->port;
}

void pw_line_front_set_auth(struct line_front *f, bool auth_always)
{
    f->auth_always = auth_always;
}

size_t pw_line_front_sessions(const struct line_front *f)
{
    return f->sessions.count;
}

void pw_line_front_released(struct line_front *f)
{
    if (!f->closing || !pw_list_empty(&f->sessions))
        return;
    if (f->on_closed)
        f->on_closed(f->on_closed_arg);
    pw_free(f->path);
    pw_free(f);
}

void pw_line_front_close(struct line_front *f, void (*on_closed)(void *arg), void *arg)
{
    if (f->tcp)
        pw_listener_close(f->tcp);
    if (f->pipe)
        pw_listener_close(f->pipe);
    f->tcp = f->pipe = NULL;
    if (f->path)
        unlink(f->path);
    f->closing = true;
    f->on_closed = on_closed;
    f->on_closed_arg = arg;
    pw_line_session_close_all(f);
    pw_line_front_released(f);
}
