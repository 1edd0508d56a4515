# A job with a descendant in a session of its own, which ignores TERM, holds the output and writes down
# that it is still there for as long as it lives.
note() { echo "$1 $LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT $HOST_RUN" >> "$HISTORY"; }
note start
setsid sh -c 'trap "" TERM HUP
    while :; do echo "beat $LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT $HOST_RUN" >> "$HISTORY"; sleep 0.01; done' &
sleep 0.08
note end
