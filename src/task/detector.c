/* detector.c - see detector.h. */
#include "task/detector.h"

#include "base/arena.h"
#include "task/resize.h"

enum { SIDE_DEFAULT = 640, SIDE_MAX = 4096 };

struct omma_detector {
    omma_model *model;
    omma_session *session;
    omma_arena arena;          /* the buffers below */
    int images, sizes;         /* which input is which; sizes -1: none */
    int labels, boxes, scores; /* which output is which */
    int h, w;                  /* of the model's input [px] */
    unsigned char *pixels;     /* u8 [h, w, 3] */
    float *planes;             /* f32 [3, h, w] */
    omma_detection *found;
    int64_t cap;
};

static bool find_inputs(omma_detector *d) {
    d->images = d->sizes = -1;
    for (int i = 0; i < omma_model_input_count(d->model); i++) {
        const omma_port *p = omma_model_input(d->model, i);
        if (p->dtype == OMMA_F32 && p->rank == 4 && p->dims[1] == 3 && d->images < 0) d->images = i;
        else if (p->dtype == OMMA_I64 && p->rank == 2 && p->dims[1] == 2 && d->sizes < 0)
            d->sizes = i;
        else return false;
    }
    return d->images >= 0 && d->sizes >= 0;
}

static bool find_outputs(omma_detector *d) {
    d->labels = d->boxes = d->scores = -1;
    for (int i = 0; i < omma_model_output_count(d->model); i++) {
        const omma_port *p = omma_model_output(d->model, i);
        if (p->dtype == OMMA_I64 && p->rank == 2) d->labels = i;
        if (p->dtype == OMMA_F32 && p->rank == 3 && p->dims[2] == 4) d->boxes = i;
        if (p->dtype == OMMA_F32 && p->rank == 2) d->scores = i;
    }
    return d->labels >= 0 && d->boxes >= 0 && d->scores >= 0;
}

static int side(int64_t declared) {
    return declared > 0 && declared <= SIDE_MAX ? (int)declared : SIDE_DEFAULT;
}

static omma_status set_up(omma_detector *d, const char *path, const omma_options *opt,
                          omma_error *err) {
    OMMA_TRY(omma_model_open(&d->model, path, opt, err));
    if (!find_inputs(d) || !find_outputs(d))
        return omma_fail_at(
            err, OMMA_E_UNSUPPORTED, path, -1,
            "is not a detector omma can drive: it wants inputs images float32 [N,3,H,W] and "
            "sizes int64 [N,2], and outputs labels int64 [N,Q], boxes float32 [N,Q,4], scores "
            "float32 [N,Q]; "
            "'omma info' shows what this model has");
    const omma_port *p = omma_model_input(d->model, d->images);
    d->h = side(p->dims[2]);
    d->w = side(p->dims[3]);
    size_t pixels = (size_t)d->h * (size_t)d->w * 3;
    d->pixels = omma_arena_alloc(&d->arena, pixels);
    d->planes = omma_arena_array(&d->arena, pixels, sizeof *d->planes);
    if (!d->pixels || !d->planes)
        return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for a picture of %d x %d", d->w,
                            d->h);
    return omma_session_new(&d->session, d->model, opt, err);
}

omma_status omma_detector_new(omma_detector **out, const char *path, const omma_options *opt,
                              omma_error *err) {
    *out = NULL;
    omma_detector *d = omma_mem_alloc(sizeof *d);
    if (!d) return omma_fail_at(err, OMMA_E_NOMEM, path, -1, "no memory for a detector");
    omma_arena_init(&d->arena, NULL);
    omma_status s = set_up(d, path, opt, err);
    if (s) omma_detector_free(d);
    else *out = d;
    return s;
}

void omma_detector_free(omma_detector *d) {
    if (!d) return;
    omma_session_free(d->session);
    omma_model_free(d->model);
    omma_arena_free(&d->arena);
    omma_mem_free(d->found);
    omma_mem_free(d);
}

/* u8 [h,w,3] to f32 [3,h,w] in 0..1 */
static void to_planes(const omma_detector *d) {
    size_t n = (size_t)d->h * (size_t)d->w;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) d->planes[c * n + i] = (float)d->pixels[i * 3 + c] / 255.0f;
}

/* What a file declares of its outputs need not be what its nodes make. */
static omma_status collect(omma_detector *d, int *count, omma_error *err) {
    const omma_tensor *labels = omma_session_output(d->session, d->labels);
    const omma_tensor *boxes = omma_session_output(d->session, d->boxes);
    const omma_tensor *scores = omma_session_output(d->session, d->scores);
    if (labels->dtype != OMMA_I64 || boxes->dtype != OMMA_F32 || scores->dtype != OMMA_F32)
        return omma_fail(err, OMMA_E_SHAPE,
                         "the detector's labels, boxes and scores are of %s, %s and %s, not of the "
                         "types its file declares",
                         omma_dtype_name(labels->dtype), omma_dtype_name(boxes->dtype),
                         omma_dtype_name(scores->dtype));
    int64_t n = omma_tensor_count(labels);
    if (omma_tensor_count(scores) != n || omma_tensor_count(boxes) != n * 4 || n > INT32_MAX)
        return omma_fail(err, OMMA_E_SHAPE,
                         "the detector's labels, boxes and scores differ in number");
    if (n > d->cap) {
        omma_mem_free(d->found);
        d->found = omma_mem_alloc((size_t)n * sizeof *d->found);
        d->cap = d->found ? n : 0;
        if (!d->found)
            return omma_fail(err, OMMA_E_NOMEM, "no memory for %lld detections", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t label = ((const int64_t *)labels->data)[i];
        d->found[i].label = label >= 0 && label <= INT32_MAX ? (int)label : -1;
        d->found[i].score = ((const float *)scores->data)[i];
        for (int k = 0; k < 4; k++) d->found[i].box[k] = ((const float *)boxes->data)[i * 4 + k];
    }
    *count = (int)n;
    return OMMA_OK;
}

omma_status omma_detector_feed(omma_detector *d, omma_tensor in[2], int64_t size[2],
                               const omma_image *img, omma_error *err) {
    OMMA_TRY(omma_resize_u8(d->pixels, d->w, d->h, img->rgb, img->width, img->height,
                            (size_t)img->width * 3, 3, OMMA_FILTER_BILINEAR, err));
    to_planes(d);
    size[0] = img->width, size[1] = img->height;
    in[d->images] = (omma_tensor){OMMA_F32, 4, {1, 3, d->h, d->w}, d->planes};
    in[d->sizes] = (omma_tensor){OMMA_I64, 2, {1, 2}, size};
    return OMMA_OK;
}

omma_status omma_detector_run(omma_detector *d, const omma_detection **found, int *count,
                              const omma_image *img, omma_error *err) {
    int64_t size[2];
    omma_tensor in[2];
    OMMA_TRY(omma_detector_feed(d, in, size, img, err));
    OMMA_TRY(omma_session_run(d->session, in, 2, err));
    OMMA_TRY(collect(d, count, err));
    *found = d->found;
    return OMMA_OK;
}
