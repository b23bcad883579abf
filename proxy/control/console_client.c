/* See console_client.h. Line editing is libedit's. */
#include "proxy/control/console_client.h"

#include <ctype.h>
#include <editline/readline.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/control/cli.h"
#include "proxy/control/dial.h"
#include "proxy/control/state_dir.h"

enum { ANSWER_MAX = 64 << 20, WORDS_MAX = 256, HISTORY_LINES = 1000, DIAL_TIMEOUT_MS = 5000 };

static const char prompt[] = "pgweir> ";

/* libedit's completion has no argument: what it may offer is kept here. Main thread only. */
static char *words[WORDS_MAX]; /* OWN */
static size_t n_words;

static bool ends_in_prompt(const struct buf *answer)
{
    size_t len = sizeof prompt - 1;
    if (answer->len < len || memcmp(answer->data + answer->len - len, prompt, len) != 0)
        return false;
    size_t before = answer->len - len;
    return before == 0 || (before == 1 && answer->data[0] == '\n') ||
           (before >= 2 && memcmp(answer->data + before - 2, "\n\n", 2) == 0);
}

/* Reads one answer, without its prompt. False: the console has closed the connection; what it said
 * last is in answer. */
static bool read_answer(int fd, struct buf *answer)
{
    char chunk[16384];
    pw_buf_reset(answer);
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || !pw_buf_append(answer, chunk, (size_t)got))
            return false;
        if (ends_in_prompt(answer)) {
            answer->len -= sizeof prompt - 1;
            return true;
        }
    }
}

static bool send_line(int fd, const char *line)
{
    char *text = pw_asprintf("%s\n", line);
    size_t len = strlen(text), sent = 0;
    while (sent < len) {
        ssize_t got = write(fd, text + sent, len - sent);
        if (got < 0 && errno != EINTR)
            break;
        sent += got > 0 ? (size_t)got : 0;
    }
    pw_free(text);
    return sent == len;
}

/* The commands of the HELP table: the words in capitals that a row starts with. */
static void learn_words(struct buf *help)
{
    pw_buf_append_u8(help, 0);
    for (char *save, *row = strtok_r(help->data, "\n", &save); row;
         row = strtok_r(NULL, "\n", &save)) {
        row += strspn(row, " ");
        size_t len = strspn(row, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_ ");
        while (len && row[len - 1] == ' ')
            len--;
        if (len >= 4 && n_words < WORDS_MAX)
            words[n_words++] = pw_strndup(row, len);
    }
}

/* The word that command i has after what is typed so far; empty: it begins otherwise. */
static struct slice word_after(size_t i, size_t start, size_t len)
{
    const char *word = words[i];
    if (strlen(word) <= start || strncasecmp(word, rl_line_buffer, start + len) != 0)
        return pw_slice("", 0);
    return pw_slice(word + start, strcspn(word + start, " "));
}

static bool is_offered(struct slice word, size_t before, size_t start, size_t len)
{
    for (size_t i = 0; i < before; i++)
        if (pw_slice_eq(word_after(i, start, len), word))
            return true;
    return false;
}

static char *next_word(const char *text, int state)
{
    static size_t at;
    size_t len = strlen(text), start = (size_t)rl_point >= len ? (size_t)rl_point - len : 0;
    at = state ? at : 0;
    while (at < n_words) {
        size_t i = at++;
        struct slice word = word_after(i, start, len);
        if (word.len && !is_offered(word, i, start, len))
            return strndup(word.ptr, word.len);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end)
{
    (void)start, (void)end;
    rl_attempted_completion_over = 1;
    return rl_completion_matches(text, next_word);
}

static bool is_error(const struct buf *answer)
{
    return answer->len >= 6 && memcmp(answer->data, "ERROR:", 6) == 0;
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

static bool is_quit(const char *line)
{
    line += strspn(line, " \t");
    size_t len = strcspn(line, " \t\r;");
    return (len == 4 && (strncasecmp(line, "quit", 4) == 0 || strncasecmp(line, "exit", 4) == 0)) ||
           (len == 2 && strncmp(line, "\\q", 2) == 0);
}

static void show(const struct buf *answer)
{
    fwrite(answer->data, 1, answer->len, stdout);
    fflush(stdout);
}

/* One command. False: the connection is gone. */
static bool converse(int fd, const char *line, struct buf *answer)
{
    bool open = send_line(fd, line) && read_answer(fd, answer);
    show(answer);
    return open;
}

/* ---- Ctrl-C gives up the line that is being typed, not the console ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
    (void)signum;
    interrupted = 1;
}

/* One line; NULL: Ctrl-D. While a command runs Ctrl-C ends the program, as ever. */
static char *read_command(void)
{
    struct sigaction stop = {.sa_handler = on_interrupt}, before;
    char *line;
    sigaction(SIGINT, &stop, &before);
    do {
        interrupted = 0;
        line = readline(prompt);
        if (interrupted) {
            free(line);
            line = NULL;
            clearerr(stdin);
            putchar('\n');
        }
    } while (interrupted);
    sigaction(SIGINT, &before, NULL);
    return line;
}

/* Kept at once: the program may be ended by anything. A state_dir that cannot be written costs the
 * history only. */
static void remember(const char *line, const char *history_path)
{
    if (strncasecmp(line + strspn(line, " "), "auth", 4) == 0)
        return; /* a password is not history */
    add_history(line);
    write_history(history_path);
}

static int run_terminal(int fd, const char *history_path, struct buf *answer)
{
    char *line;
    bool open = send_line(fd, "HELP") && read_answer(fd, answer);
    learn_words(answer);
    using_history();
    stifle_history(HISTORY_LINES);
    read_history(history_path);
    rl_attempted_completion_function = complete;
    while (open && (line = read_command()) != NULL && !is_quit(line)) {
        if (!is_blank(line)) {
            remember(line, history_path);
            open = converse(fd, line, answer);
        }
        free(line);
    }
    for (size_t i = 0; i < n_words; i++)
        pw_free(words[i]);
    n_words = 0;
    if (!open)
        fprintf(stderr, "pgweir: the console has closed the connection\n");
    return open ? CLI_OK : CLI_UNREACHABLE;
}

static int run_pipe(int fd, struct buf *answer)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int status = CLI_OK;
    while ((len = getline(&line, &size, stdin)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (is_quit(line))
            break;
        if (is_blank(line))
            continue;
        bool open = converse(fd, line, answer);
        if (is_error(answer))
            status = CLI_CONFIG;
        if (!open) {
            status = CLI_UNREACHABLE;
            break;
        }
    }
    free(line);
    return status;
}

int pw_console_client_run(const char *address, const char *state_dir)
{
    char *socket_path = pw_asprintf("%s/admin.sock", state_dir), *error = NULL;
    char *history_path = pw_asprintf("%s/console_history", state_dir);
    const char *target = *address ? address : socket_path;
    struct buf answer;
    int status = CLI_UNREACHABLE;
    pw_buf_init(&answer, ANSWER_MAX);
    signal(SIGPIPE, SIG_IGN);
    int fd = pw_dial(target, DIAL_TIMEOUT_MS, &error);
    if (fd < 0) {
        fprintf(stderr, "pgweir: no console at %s: %s; is pgweir running?\n", target, error);
    } else if (!read_answer(fd, &answer)) {
        show(&answer);
        fprintf(stderr, "pgweir: %s does not answer like a pgweir console\n", target);
    } else if (isatty(STDIN_FILENO)) {
        show(&answer);
        (void)pw_state_dir_make(state_dir);
        status = run_terminal(fd, history_path, &answer);
    } else {
        status = run_pipe(fd, &answer);
    }
    if (fd >= 0)
        close(fd);
    pw_free(error);
    pw_buf_free(&answer);
    pw_free(socket_path);
    pw_free(history_path);
    return status;
}
