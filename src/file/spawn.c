/* spawn.c - fork, limit, exec, listen and wait; see spawn.h. Everything the child needs is
 * made ready before the fork: between fork and exec it only makes system calls. */
#include "file/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM_PATH = 4096, TICK_MS = 200, NAP_MS = 5 };

/* The program in the first absolute folder of PATH that has it. */
static int find_program(char out[PROGRAM_PATH], const char *name) {
    const char *path = getenv("PATH");
    for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
        size_t n = strcspn(p, ":");
        struct stat st;
        int len = snprintf(out, PROGRAM_PATH, "%.*s/%s", (int)n, p, name);
        if (*p == '/' && len > 0 && len < PROGRAM_PATH && !access(out, X_OK) && !stat(out, &st) &&
            S_ISREG(st.st_mode))
            return 1;
        p += n + (p[n] == ':');
    }
    return 0;
}

/* In the child: never returns. 126: its surroundings cannot be made; 127: no exec. */
static void child(const omma_spawn *s, const char *program, const struct rlimit *most, int in,
                  int out, int said) {
    setpgid(0, 0);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(said, 2) < 0) _exit(126);
    if (s->folder && chdir(s->folder)) _exit(126);
    if (most) {
        signal(SIGXFSZ, SIG_IGN); /* so that writing on fails and the program can say so */
        if (setrlimit(RLIMIT_FSIZE, most)) _exit(126);
    }
    /* execv does not write to its arguments; the type is older than const. */
    execv(program, (char *const *)(uintptr_t)s->argv);
    _exit(127);
}

/* A limit can be lowered but not raised. */
static rlim_t lesser(size_t wanted, rlim_t now) {
    return now == RLIM_INFINITY || wanted < now ? (rlim_t)wanted : now;
}

static pid_t start(const omma_spawn *s, const char *program, int said) {
    int in = open(s->in ? s->in : "/dev/null", O_RDONLY | O_CLOEXEC);
    int out = s->out ? open(s->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                     : open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct rlimit now_most = {0}, most;
    pid_t pid = in < 0 || out < 0 || getrlimit(RLIMIT_FSIZE, &now_most) ? -1 : fork();
    if (!pid) {
        most.rlim_cur = most.rlim_max = lesser(s->max_file, now_most.rlim_cur);
        child(s, program, s->max_file ? &most : NULL, in, out, said);
    }
    int why = errno;
    if (pid > 0) setpgid(pid, pid); /* here too: whichever of the two runs first */
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    errno = why;
    return pid;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Add n bytes to the kept end of what was said. */
static void keep(omma_ending *end, const char *p, size_t n) {
    size_t room = sizeof end->said - 1, have = strlen(end->said);
    if (n > room) p += n - room, n = room;
    if (have + n > room) {
        size_t drop = have + n - room;
        memmove(end->said, end->said + drop, have - drop + 1);
        have -= drop;
    }
    memcpy(end->said + have, p, n);
    end->said[have + n] = 0;
}

/* Read what is there without waiting for more; *live becomes 0 at the end. */
static void hear(omma_ending *end, int fd, nfds_t *live) {
    char buf[512];
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) *live = 0;
        if (n <= 0) return;
        for (ssize_t i = 0; i < n; i++)
            if (!buf[i]) buf[i] = ' ';
        keep(end, buf, (size_t)n);
    }
}

/* Ask the group to end; after a second, make it. */
static void put_down(pid_t pid, int *wait_status) {
    kill(-pid, SIGTERM);
    for (int i = 0; i < 1000 / NAP_MS; i++) {
        if (waitpid(pid, wait_status, WNOHANG) == pid) {
            kill(-pid, SIGKILL); /* helpers that outlived it */
            return;
        }
        poll(NULL, 0, NAP_MS);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR) continue;
}

/* Wait for the child and listen to it. NULL, or why it was put down. */
static const char *attend(omma_ending *end, const omma_spawn *s, pid_t pid, int fd) {
    double began = now();
    nfds_t live = 1; /* 0: it has closed its standard error, or ended */
    int w = 0;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        poll(&p, live, live ? TICK_MS : NAP_MS);
        hear(end, fd, &live);
        pid_t got = waitpid(pid, &w, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR)) break;
        if (s->tick) s->tick(s->user);
        const char *why = s->stop && *s->stop                                ? "was stopped"
                          : s->seconds && now() - began > (double)s->seconds ? "took too long"
                                                                             : NULL;
        if (!why) continue;
        put_down(pid, &w);
        return why;
    }
    hear(end, fd, &live);
    end->status = WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w);
    return NULL;
}

omma_status omma_spawn_run(omma_ending *end, const omma_spawn *s, omma_error *err) {
    char program[PROGRAM_PATH];
    const char *name = s->argv[0];
    *end = (omma_ending){0};
    if (!find_program(program, name))
        return omma_fail(err, OMMA_E_NOTFOUND, "the program '%s' is not in PATH", name);
    int pipes[2];
    if (pipe(pipes)) return omma_fail(err, OMMA_E_IO, "cannot start %s: %s", name, strerror(errno));
    for (int i = 0; i < 2; i++) fcntl(pipes[i], F_SETFD, FD_CLOEXEC);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    pid_t pid = start(s, program, pipes[1]);
    int why = errno;
    close(pipes[1]);
    const char *fate = pid > 0 ? attend(end, s, pid, pipes[0]) : NULL;
    close(pipes[0]);
    if (pid < 0) return omma_fail(err, OMMA_E_IO, "cannot start %s: %s", name, strerror(why));
    if (fate) return omma_fail(err, OMMA_E_IO, "%s %s", name, fate);
    if (end->status == 126 || end->status == 127)
        return omma_fail(err, OMMA_E_IO, "cannot start %s (%s)", program, end->said);
    return OMMA_OK;
}
