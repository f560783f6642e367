/* bench_streams.c - many streams at once: threads of the program, each with a session of its own
 * on the one model, run as fast as they can for some seconds. They share the weights; whether
 * they share the cores well is what is measured. */
#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/bench.h"
#include "run/debug.h"

enum { MOST_TIMES = 1 << 20 }; /* of all streams together; later runs count but leave no time */

typedef struct team {
    const omma_model *model;
    const omma_options *opt;
    const omma_tensor *inputs;
    double seconds;
    int most; /* times a stream may leave */
    pthread_mutex_t lock;
    pthread_cond_t change;
    int ready;
    enum { GET_READY, GO, GIVE_UP } signal;
} team;

typedef struct stream {
    team *team;
    pthread_t thread;
    omma_session *session;
    double *times; /* [most], of runs [s] */
    int64_t runs;
    double took; /* from the common start to the end of its last run [s] */
    omma_status status;
    omma_error err;
} stream;

static omma_status run_once(stream *s) {
    const int n = omma_model_input_count(s->team->model);
    return omma_session_run(s->session, s->team->inputs, n, &s->err);
}

static omma_status run_for_a_while(stream *s) {
    const double start = omma_debug_clock();
    double before = start;
    do {
        OMMA_TRY(run_once(s));
        const double now = omma_debug_clock();
        if (s->runs < s->team->most) s->times[s->runs] = now - before;
        s->runs++;
        before = now;
    } while (before - start < s->team->seconds);
    s->took = before - start;
    return OMMA_OK;
}

/* All begin when the last is ready. */
static bool wait_for_start(team *t) {
    pthread_mutex_lock(&t->lock);
    t->ready++;
    pthread_cond_broadcast(&t->change);
    while (t->signal == GET_READY) pthread_cond_wait(&t->change, &t->lock);
    const bool go = t->signal == GO;
    pthread_mutex_unlock(&t->lock);
    return go;
}

static void *stream_main(void *arg) {
    stream *s = arg;
    s->status = omma_session_new(&s->session, s->team->model, s->team->opt, &s->err);
    if (!s->status) s->status = run_once(s); /* the plan is made, memory touched */
    if (wait_for_start(s->team) && !s->status) s->status = run_for_a_while(s);
    omma_session_free(s->session);
    return NULL;
}

/* Start n streams, let them go when all are ready, and wait for their end. */
static omma_status race(team *t, stream *streams, int n, omma_error *err) {
    omma_status status = OMMA_OK;
    int there = 0;
    for (; there < n && !status; there += !status) {
        streams[there].team = t;
        if (pthread_create(&streams[there].thread, NULL, stream_main, &streams[there]))
            status = omma_fail(err, OMMA_E_NOMEM, "the system has no thread for stream %d of %d",
                               there + 1, n);
    }
    pthread_mutex_lock(&t->lock);
    while (t->ready < there) pthread_cond_wait(&t->change, &t->lock);
    t->signal = status ? GIVE_UP : GO;
    pthread_cond_broadcast(&t->change);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < there; i++) pthread_join(streams[i].thread, NULL);
    for (int i = 0; i < there && !status; i++) {
        status = streams[i].status;
        if (status && err) *err = streams[i].err;
    }
    return status;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* all: room for the times of all streams. */
static void summarise(bench_streams *r, const team *t, const stream *streams, double *all) {
    int64_t count = 0, runs = 0;
    double took = 0;
    for (int i = 0; i < r->count; i++) {
        for (int64_t k = 0; k < streams[i].runs && k < t->most; k++)
            all[count++] = streams[i].times[k];
        runs += streams[i].runs;
        if (streams[i].took > took) took = streams[i].took;
    }
    qsort(all, (size_t)count, sizeof *all, ascending);
    r->runs = runs;
    r->rate = (double)runs / took;
    r->median = all[count / 2];
    r->late = all[count * 99 / 100];
}

omma_status bench_many(bench_streams *r, const omma_model *model, const omma_options *opt,
                       const omma_tensor *inputs, double seconds, omma_error *err) {
    team t = {.model = model, .opt = opt, .inputs = inputs, .seconds = seconds};
    const int n = r->count;
    t.most = MOST_TIMES / n;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.change, NULL);
    const size_t room = (size_t)t.most * (size_t)n;
    stream *streams = omma_arena_array(&arena, (size_t)n, sizeof *streams);
    double *times = omma_mem_alloc_raw(room * sizeof *times);
    double *all = omma_mem_alloc_raw(room * sizeof *all);
    omma_status status = OMMA_OK;
    if (!streams || !times || !all)
        status = omma_fail(err, OMMA_E_NOMEM, "no memory for %d streams", n);
    for (int i = 0; i < n && !status; i++) streams[i].times = times + (size_t)i * (size_t)t.most;
    if (!status) status = race(&t, streams, n, err);
    if (!status) summarise(r, &t, streams, all);
    omma_mem_free(times);
    omma_mem_free(all);
    pthread_cond_destroy(&t.change);
    pthread_mutex_destroy(&t.lock);
    omma_arena_free(&arena);
    return status;
}
