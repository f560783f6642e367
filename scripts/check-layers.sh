#!/bin/sh
# Does every #include point down the house? A file may include headers of its own folder and
# of folders further down this list, and the public header. Exit 1 and a line per offence.
cd "$(dirname "$0")/.." || exit 1
house="cli view learn field task model run pass op graph kernel file base"
floor() { n=0; for f in $house; do n=$((n + 1)); [ "$f" = "$1" ] && echo $n && return; done; echo 0; }
bad=0
for folder in $house; do
    mine=$(floor "$folder")
    for line in $(grep -rhoE '^#include "[a-z]+/' "src/$folder" 2>/dev/null | sort -u | sed 's/.*"//; s#/##'); do
        [ "$line" = omma ] && continue
        its=$(floor "$line")
        if [ "$its" = 0 ] || [ "$its" -lt "$mine" ]; then
            grep -rnE "^#include \"$line/" "src/$folder" | sed "s#^#$folder may not include $line: #"
            bad=1
        fi
    done
done
for folder in src/*/; do
    [ "$(floor "$(basename "$folder")")" = 0 ] && echo "src/$(basename "$folder") is not in the house's list" && bad=1
done
exit $bad
