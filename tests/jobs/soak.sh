# A job that writes down what it does, and in which life of what runs it: `soak.sh HISTORY SECONDS [LIFE]`.
# Each line is one write. Where no life is given it is the process of the executor `local`: the job's keeper
# is a child of the nursery, and that is a child of the runner. One whose runner was dead before its first
# line belongs to life 1, which is nobody's.
parent() {
    while read -r name value _; do
        [ "$name" = PPid: ] && parent=$value && return
    done < "/proc/$1/status"
} 2> /dev/null
life=$3
if [ -z "$life" ]; then
    parent=1
    parent $PPID
    parent "$parent"
    life=1
    read -r program < "/proc/$parent/cmdline"
    case $program in longshore-runner*) life=$parent ;; esac
fi 2> /dev/null
note() { echo "$1 $LONGSHORE_JOB_ID $LONGSHORE_ATTEMPT $life" >> "$HISTORY"; }
HISTORY=$1
note start
sleep "$2"
note beat
sleep "$2"
note end
echo "\"$LONGSHORE_JOB_ID\"" > "$LONGSHORE_RESULT.new"
mv "$LONGSHORE_RESULT.new" "$LONGSHORE_RESULT"
