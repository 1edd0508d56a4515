# A job that writes down what it does: `witness.sh SECONDS`. Each line is one write.
note() { echo "$1 $LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT $HOST_RUN" >> "$HISTORY"; }
note start
sleep "$1"
note beat
sleep "$1"
note end
echo "\"$LONGSHORE_JOB_ID\"" > "$LONGSHORE_RESULT.new"
mv "$LONGSHORE_RESULT.new" "$LONGSHORE_RESULT"
