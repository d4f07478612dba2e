#!/bin/sh
# run.sh: Postern in the foreground below ./run/, with a first message as proof. Called by `make run` after the build;
# ends with Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
B=${B:-build}
case $B in /*) ;; *) B=$top/$B ;; esac
port=2525
run=$top/run
user=$(stat -c %U "$top")
[ "$(id -u)" = 0 ] || user=$(id -un)
me=$(id -un)
export POSTERN_RUNTIME="$run/runtime"
mkdir -p "$run"

# As root, mailboxes are written with the rights of the checkout's owner, or nobody's where that is root: nothing is delivered as root.
mail=$run/mail
[ "$user" != root ] || user=nobody
mkdir -p "$mail"
if [ "$(id -u)" = 0 ]; then
	chown -R "$user" "$mail"
	setpriv --reuid "$user" --clear-groups test -w "$mail" || {
		mail=$(mktemp -d /tmp/postern-mail.XXXXXX)
		chown "$user" "$mail"
	}
fi

"$B/bin/posternd" -d -f etc/run.conf -D "spool=$run/spool" -D "runtime=$POSTERN_RUNTIME" \
	-D "maildir=$mail/%{user}" -D "user=$user" -D "postmaster=$me" &
pid=$!
trap 'kill -INT $pid 2>/dev/null || true' INT TERM

# wait_for SECONDS COMMAND...: until it succeeds, posternd ends or the time is over.
wait_for() {
	tenths=$(($1 * 10))
	shift
	while [ $tenths -gt 0 ]; do
		kill -0 $pid 2>/dev/null || { wait $pid; exit $?; }
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
		tenths=$((tenths - 1))
	done
	return 1
}

delivered() {
	grep -rl "$1" "$mail/$me/new"
}

if ! wait_for 20 "$B/bin/posternctl" status; then
	echo "run: Postern did not come up within 20 s; its log is above" >&2
	kill -INT $pid
	wait $pid
	exit 1
fi

id="first.$(date +%s).$$@postern.run"
"$B/bin/sendmail" -t -i -f "$me" <<-MESSAGE
	To: $me
	Subject: Postern is up
	Message-ID: <$id>

	Hello $me,
	this message came in through $POSTERN_RUNTIME/submit.sock, was on disk
	before sendmail was told so, and lies now in a Maildir.
MESSAGE

if wait_for 20 delivered "$id"; then
	file=$(delivered "$id")
	echo
	echo "---- the first message: $file"
	cat "$file"
	echo "----"
else
	echo "run: the first message was not delivered within 20 s; its log is above, and: posternctl queue list" >&2
fi

cat <<HINTS

Postern listens on 127.0.0.1:$port. Send the next one, from another terminal:

  swaks --server 127.0.0.1:$port --from you@example.org --to $me@localhost

  python3 -c 'import smtplib; smtplib.SMTP("127.0.0.1", $port).sendmail("you@example.org", ["$me@localhost"],
      "Subject: from Python\n\nhello\n")'

  export POSTERN_RUNTIME=$POSTERN_RUNTIME
  printf 'Subject: from sendmail\n\nhello\n' | $B/bin/sendmail $me

Look and steer (with POSTERN_RUNTIME as above):

  $B/bin/posternctl status            $B/bin/posternctl queue list
  $B/bin/mailq                        ls $mail/*/new

Mail for this host goes to $mail/NAME, any NAME; mail for others is relayed to where their MX points.
The log follows; Ctrl-C ends it.

HINTS

# The first signal interrupts the wait; the second wait gives posternd's exit status.
wait $pid || true
wait $pid 2>/dev/null || true
