#!/bin/sh
# An executor for Longshore's `command` plugin, mode `once`: jobs as processes of this machine.
#
# Each attempt has a directory in $LONGSHORE_STATE_DIR and a session of its own. Whatever runs for it holds
# `lock` (the descriptor is inherited), so a free lock is the proof that nothing does. Needs a POSIX shell,
# and `setsid` and `flock` of util-linux.
set -eu
umask 077
verb=$1
shift
home=$LONGSHORE_STATE_DIR/attempts/${LONGSHORE_ATTEMPT_TAG:-none}

ok() { printf '{"ok":%s}\n' "$1" && exit; }
error() { printf '{"error":{"kind":"%s","message":"%s"}}\n' "$1" "$2" && exit; }
runs() { [ -e "$home/lock" ] && ! flock -n "$home/lock" true; }
kill_all() { kill -s "$1" -- "-$(cat "$home/group")" 2>/dev/null || true; }
# Any text as the inside of a JSON string.
text() { tr '\t' ' ' | tr -d '\000-\011\013-\037' | sed 's/[\\"]/\\&/g' | awk '{ printf "%s\\n", $0 }'; }

case $verb in
facts) ok '{"isolation":"process","reattach":true}' ;;
submit)
    [ $# -gt 0 ] || error invalid_job "at.sh runs commands, no functions"
    mkdir -p "${home%/*}"
    mkdir "$home" 2>/dev/null || error already_exists "this attempt was submitted before"
    mv "$LONGSHORE_PARAMS" "$home/params.json"
    export LONGSHORE_PARAMS="$home/params.json" LONGSHORE_RESULT="$home/result.json"
    cd "$home"
    # Away from this call's process group and pipes, which end with the call. The lock is taken
    # before this call ends, and held for as long as anything of the job lives.
    exec 9>lock && flock 9
    run='echo $$ >group; "$@"; echo $? >exit.new; mv exit.new exit'
    setsid sh -c "$run" sh "$@" </dev/null >output 2>&1 &
    until [ -s group ] || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
    [ -s group ] || error unavailable "the job could not be started"
    ok null
    ;;
wait)
    [ -d "$home" ] || error not_found "there is no such attempt here"
    if runs; then echo '{"again_in":0.2}' && exit; fi
    code=$(cat "$home/exit" 2>/dev/null || true)
    tail=$(tail -c 16384 "$home/output" | text)
    case $code in
    0) ending='{"succeeded":{"result":'$(cat "$home/result.json" 2>/dev/null || echo null)'}}' ;;
    75) ending='{"failed":{"message":"the command ended with exit code 75","transient":true}}' ;;
    ?*) ending='{"failed":{"message":"the command ended with exit code '$code'"}}' ;;
    *) ending='{"interrupted":{"message":"it was killed, or the machine was restarted"}}'
        [ ! -e "$home/canceled" ] || ending='{"canceled":{"message":"canceled"}}' ;;
    esac
    ok '{"ending":'"$ending"',"log_tail":"'"$tail"'"}' ;;
cancel)
    runs || ok '"gone"'
    : >"$home/canceled"
    kill_all TERM
    left=$(awk "BEGIN { print int($LONGSHORE_GRACE * 10) }")
    while runs && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
    kill_all KILL
    for _ in 1 2 3 4 5 6 7 8 9 10; do runs || ok '"gone"'; sleep 0.1; done
    ok '"maybe"' ;;
recover)
    # The payload holds tags of hexadecimal digits and nothing that looks like them, so no parser is needed.
    found=$(tr '{},' '\n\n\n' | sed -n 's/^"attempt_tag":"\([0-9a-f-]*\)"$/\1/p' | while read -r tag; do
        home=$LONGSHORE_STATE_DIR/attempts/$tag
        # The lock first: once it is free nothing can note its group any more.
        is='gone"'
        ! runs || is='unknown","message":"it is just beginning"'
        [ ! -s "$home/group" ] || is='here"'
        printf '{"attempt_tag":"%s","found":{"found":"%s}},' "$tag" "$is"
    done)
    ok "[${found%,}]" ;;
forget) rm -rf "$home" && ok null ;;
*) exit 64 ;;
esac
