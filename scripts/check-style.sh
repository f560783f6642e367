#!/bin/sh
# The style of the tree, as far as a script can see it: one line per offence, exit 1 if any.
#   check-style.sh            every check
#   check-style.sh NAME...    these checks
#   check-style.sh --list     their names
# A check that cannot be made here says so in a line that begins with "skipped:". The layout
# is clang-format 14's, by .clang-format; one command, run twice, reformats the tree:
#   git ls-files '*.c' '*.h' | xargs clang-format -i
cd "$(dirname "$0")/.." || exit 1
names="layers whitespace columns layout opening names guards todo paths quiet man"
LC_ALL=C
export LC_ALL

c_files() { find src include tests fuzz bench examples -name '*.[ch]' 2>/dev/null | sort; }
# The page of `omma look`.
look_files() { find src/view/look -type f 2>/dev/null | sort; }
text_files() {
    c_files
    look_files
    find scripts tests bench -name '*.sh' | sort
    find man -name '*.1' 2>/dev/null | sort
    echo CMakeLists.txt
}

check_layers() { scripts/check-layers.sh; }

check_whitespace() {
    text_files | xargs awk '
        /\t/ { print FILENAME ":" FNR ": a tab" }
        /[ \r]$/ { print FILENAME ":" FNR ": white space at the end of the line" }'
}

# Columns are characters: the bytes that continue one in UTF-8 do not count.
check_columns() {
    { c_files; look_files; } | xargs awk '{ gsub(/[\200-\277]/, "") }
        length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns, more than 100" }'
}

check_layout() {
    for tool in clang-format-14 clang-format ""; do
        [ -n "$tool" ] || break
        command -v $tool >/dev/null && $tool --version | grep -q 'version 14\.' && break
    done
    if [ -z "$tool" ]; then echo "skipped: no clang-format 14"; return; fi
    c_files | xargs $tool --dry-run 2>&1 | sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: warning: .*/\1/p' |
        sort | uniq -c | while read -r count file; do
        echo "$file: clang-format would change $count places"
    done
}

check_opening() {
    for f in $(c_files); do
        case $(head -n 1 "$f") in
        "/* $(basename "$f") "*) ;;
        *) echo "$f:1: does not open with a comment that begins with its name" ;;
        esac
    done
}

check_names() {
    for name in $(find src -name '*.[ch]' | sed 's#.*/##' | sort | uniq -d); do
        echo "$name is the name of several files:" $(find src -name "$name" | sort)
    done
}

# A guard is the path: src/base/error.h has OMMA_BASE_ERROR_H. A *_body.h is code to be
# included more than once and has none.
check_guards() {
    for f in $(c_files | grep '\.h$' | grep -v '_body\.h$'); do
        guard=OMMA_$(echo "$f" | sed -e 's#^src/##' -e 's#^include/omma/##' | tr 'a-z/.' 'A-Z__')
        grep -q "^#ifndef $guard\$" "$f" && grep -q "^#define $guard\$" "$f" ||
            echo "$f: its include guard is not $guard"
    done
}

check_todo() { c_files | xargs grep -nE '\b(TODO|FIXME|XXX)\b' | sed 's/$/  <- do it, or open an issue/'; }

# Tests and benchmarks may use /tmp.
check_paths() {
    find src include examples man scripts -type f 2>/dev/null | grep -v check-style.sh |
        xargs grep -nE '(^|[^A-Za-z0-9_.~$}/-])/(work|tmp|home|root)(/|[^A-Za-z0-9_-]|$)' |
        sed 's/$/  <- an absolute path of somebody'\''s machine/'
}

# Comments and the contents of strings taken out; a line stays a line.
code_of() {
    awk '{
        out = ""; s = $0
        while (s != "") {
            if (inside) {
                if (!(i = index(s, "*/"))) { s = ""; break }
                s = substr(s, i + 2); inside = 0
            } else if (match(s, /\/\*|\/\/|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
                what = substr(s, RSTART, 2); out = out substr(s, 1, RSTART - 1)
                if (what == "//") break
                s = substr(s, RSTART + RLENGTH)
                if (what == "/*") inside = 1; else out = out "\"\""
            } else { out = out s; s = "" }
        }
        print out
    }' "$1"
}

# The library never prints, exits or aborts; the command does that. (A forked child that
# cannot become another program ends with _exit.)
check_quiet() {
    for f in $(find src -name '*.[ch]' ! -path 'src/cli/*' | sort); do
        code_of "$f" | grep -nE \
            '(^|[^A-Za-z0-9_])((exit|_Exit|quick_exit|abort|v?printf|puts|putchar|perror) *\(|stdout|stderr)' |
            sed -e "s#^#$f:#" -e 's/$/  <- the library never prints, exits or aborts/'
    done
}

# One page for the command, one per verb, and every page that CMakeLists.txt names.
check_man() {
    for page in omma $(sed -n 's/^ *{"\([a-z]*\)", omma_cli_.*/omma-\1/p' src/cli/main.c); do
        [ -s "man/$page.1" ] || echo "man/$page.1 is missing"
    done
    for page in $(grep -oE 'man/[a-z-]+\.1' CMakeLists.txt); do
        [ -s "$page" ] || echo "CMakeLists.txt names $page, which is missing"
    done
}

if [ "${1:-}" = --list ]; then echo "$names"; exit 0; fi
bad=0
for name in ${*:-$names}; do
    case " $names " in
    *" $name "*) ;;
    *) echo "check-style.sh: no check '$name'; there are: $names" >&2; exit 2 ;;
    esac
    said=$("check_$name" 2>&1)
    [ -z "$said" ] || printf '%s\n' "$said"
    case $said in "" | skipped:*) ;; *) bad=1 ;; esac
done
exit $bad
