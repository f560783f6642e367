/* json_scan.c - the syntax of JSON, checked without building anything. Recursion is
 * bounded by OMMA_JSON_DEPTH, so hostile nesting cannot reach the end of the stack. */
#include "file/json_scan.h"

#include <string.h>

omma_status omma_json_fault(omma_json_scan *s, size_t at, const char *what) {
    if (at >= s->size)
        return omma_fail_at(s->err, OMMA_E_FORMAT, s->file, (int64_t)s->size,
                            "the JSON text ends too early: %s", what);
    return omma_fail_at(s->err, OMMA_E_FORMAT, s->file, (int64_t)at, "not sound JSON: %s", what);
}

int omma_json_peek(omma_json_scan *s) {
    while (s->at < s->size) {
        unsigned char c = s->data[s->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
        s->at++;
    }
    return -1;
}

static int here(const omma_json_scan *s) { return s->at < s->size ? s->data[s->at] : -1; }

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static omma_status skip_escape(omma_json_scan *s) {
    int c = here(s);
    if (c < 0 || !strchr("\"\\/bfnrtu", c) || !c)
        return omma_json_fault(s, s->at, "an unknown escape in a text");
    s->at++;
    for (int i = 0; c == 'u' && i < 4; i++, s->at++)
        if (!is_hex(here(s))) return omma_json_fault(s, s->at, "\\u wants four hex digits");
    return OMMA_OK;
}

static omma_status skip_text(omma_json_scan *s) {
    if (here(s) != '"') return omma_json_fault(s, s->at, "a text in quotes was expected");
    s->at++;
    while (s->at < s->size) {
        unsigned char c = s->data[s->at];
        if (c < 0x20) return omma_json_fault(s, s->at, "a control character in a text");
        s->at++;
        if (c == '"') return OMMA_OK;
        if (c == '\\') OMMA_TRY(skip_escape(s));
    }
    return omma_json_fault(s, s->at, "a text is not closed");
}

static omma_status skip_digits(omma_json_scan *s) {
    if (!is_digit(here(s))) return omma_json_fault(s, s->at, "a digit was expected");
    while (is_digit(here(s))) s->at++;
    return OMMA_OK;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static omma_status skip_number(omma_json_scan *s) {
    if (here(s) == '-') s->at++;
    if (here(s) == 'I') return omma_json_fault(s, s->at, "an infinity is no JSON number");
    size_t start = s->at;
    OMMA_TRY(skip_digits(s));
    if (s->data[start] == '0' && s->at > start + 1)
        return omma_json_fault(s, start, "a number begins with a needless 0");
    if (here(s) == '.') {
        s->at++;
        OMMA_TRY(skip_digits(s));
    }
    if (here(s) != 'e' && here(s) != 'E') return OMMA_OK;
    s->at++;
    if (here(s) == '+' || here(s) == '-') s->at++;
    return skip_digits(s);
}

static omma_status skip_word(omma_json_scan *s, const char *word) {
    size_t n = strlen(word);
    if (s->size - s->at < n || memcmp(s->data + s->at, word, n))
        return omma_json_fault(s, s->at, "a value was expected");
    s->at += n;
    return OMMA_OK;
}

static omma_status skip_array(omma_json_scan *s) {
    OMMA_TRY(omma_json_enter(s, '['));
    for (bool first = true, more;;) {
        OMMA_TRY(omma_json_item(s, ']', &first, &more));
        if (!more) return OMMA_OK;
        OMMA_TRY(omma_json_skip(s));
    }
}

static omma_status skip_object(omma_json_scan *s) {
    OMMA_TRY(omma_json_enter(s, '{'));
    for (bool first = true, more;;) {
        omma_json_span name;
        OMMA_TRY(omma_json_item(s, '}', &first, &more));
        if (!more) return OMMA_OK;
        OMMA_TRY(omma_json_name(s, &name));
        OMMA_TRY(omma_json_skip(s));
    }
}

omma_status omma_json_skip(omma_json_scan *s) {
    int c = omma_json_peek(s);
    if (c == '-' || is_digit(c)) return skip_number(s);
    switch (c) {
    case '{': return skip_object(s);
    case '[': return skip_array(s);
    case '"': return skip_text(s);
    case 't': return skip_word(s, "true");
    case 'f': return skip_word(s, "false");
    case 'n': return skip_word(s, "null");
    case 'N':
    case 'I': return omma_json_fault(s, s->at, "NaN and infinities are no JSON numbers");
    default: return omma_json_fault(s, s->at, "a value was expected");
    }
}

omma_status omma_json_enter(omma_json_scan *s, char open) {
    if (omma_json_peek(s) != open)
        return omma_json_fault(s, s->at,
                               open == '{' ? "an object was expected" : "an array was expected");
    if (s->depth >= OMMA_JSON_DEPTH)
        return omma_json_fault(s, s->at, "nested deeper than 64 objects and arrays");
    s->at++;
    s->depth++;
    return OMMA_OK;
}

omma_status omma_json_item(omma_json_scan *s, char close, bool *first, bool *more) {
    int c = omma_json_peek(s);
    *more = c != close;
    if (!*more) {
        s->at++;
        s->depth--;
    } else if (!*first) {
        if (c != ',')
            return omma_json_fault(s, s->at,
                                   close == '}' ? "a comma or the end of an object was expected"
                                                : "a comma or the end of an array was expected");
        s->at++;
    }
    *first = false;
    return OMMA_OK;
}

omma_status omma_json_name(omma_json_scan *s, omma_json_span *name) {
    omma_json_peek(s);
    name->from = s->at;
    OMMA_TRY(skip_text(s));
    name->to = s->at;
    if (omma_json_peek(s) != ':')
        return omma_json_fault(s, s->at, "a colon was expected after a name");
    s->at++;
    return OMMA_OK;
}

omma_status omma_json_finish(omma_json_scan *s) {
    if (omma_json_peek(s) < 0) return OMMA_OK;
    return omma_json_fault(s, s->at, "something follows the end of the document");
}
