#!/bin/sh
# deps.sh: the one list of what Postern needs from Debian, and of its accounts.
#	deps.sh build | all | accounts [-n]	build: to make and run it; all: to test it too; accounts: these alone.
#						-n: only say what is missing.
# As root on Debian it installs what is missing and says so; otherwise it prints the command. It fails only when
# something that is needed is missing afterwards.
set -eu

# Package, and what shows that it is there: a command, or a file.
build_list='
gcc			gcc
libc6-dev		/usr/include/stdio.h
pkg-config		pkg-config
libbsd-dev		/usr/include/bsd/stdlib.h
libevent-dev		/usr/include/event2/event.h
libsqlite3-dev		/usr/include/sqlite3.h
libunbound-dev		/usr/include/unbound.h
libseccomp-dev		/usr/include/seccomp.h
'
# Used by tests; one that finds its tool missing says "skipped". logwatch wants some mail-transport-agent: msmtp-mta is the smallest one.
test_list='
python3			/usr/bin/python3
python3-aiosmtpd	/usr/lib/python3/dist-packages/aiosmtpd/__init__.py
nsd			nsd
strace			strace
spin			spin
mandoc			mandoc
iproute2		ip
faketime		faketime
python3-flufl.bounce	/usr/lib/python3/dist-packages/flufl/bounce/__init__.py
libsisimai-perl		/usr/share/perl5/Sisimai.pm
fail2ban		fail2ban-regex
pflogsumm		pflogsumm
msmtp-mta		sendmail
logwatch		logwatch
'
accounts='_postern _posternl _posternr _posternk _posternq _posternd'
group=posternadm

what=${1:-all}
dry=${2:-}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

there() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing() {
	echo "$1" | while read -r package proof; do
		[ -z "$package" ] || there "$proof" || printf ' %s' "$package"
	done
}

need() {
	need_build=
	need_test=
	[ "$what" != accounts ] || return 0
	need_build=$(missing "$build_list")
	[ "$what" = build ] || need_test=$(missing "$test_list")
}

install_packages() {
	echo "deps: installing$need_build$need_test"
	export DEBIAN_FRONTEND=noninteractive
	# A package list of months ago names files that are gone: one update, then once more.
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $need_build $need_test >/dev/null 2>&1 && return
	apt-get update >/dev/null || echo "deps: apt-get update failed" >&2
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $need_build $need_test >/dev/null && return
	# Tests can do without their tools, the build cannot.
	# shellcheck disable=SC2086
	[ -z "$need_build" ] || apt-get install -y --no-install-recommends $need_build >/dev/null || true
}

make_accounts() {
	for a in $accounts; do
		getent passwd "$a" >/dev/null && continue
		echo "deps: making the account $a"
		useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$a"
	done
	getent group $group >/dev/null && return
	echo "deps: making the group $group"
	groupadd --system $group
}

need
root=
[ "$(id -u)" != 0 ] || [ "$dry" = -n ] || root=1
if [ -n "$need_build$need_test" ]; then
	if [ -n "$root" ] && command -v apt-get >/dev/null; then
		# Some packages start a daemon of their own; nothing here needs one to run.
		policy=/usr/sbin/policy-rc.d
		if [ ! -e $policy ]; then
			printf '#!/bin/sh\nexit 101\n' >$policy
			chmod 755 $policy
			trap 'rm -f $policy' EXIT
		fi
		install_packages
		need
	fi
fi
[ -z "$root" ] || make_accounts
if [ -n "$need_build$need_test" ]; then
	echo "deps: missing:$need_build$need_test"
	echo "deps: as root: apt-get install --no-install-recommends$need_build$need_test"
fi
[ -z "$need_build" ] || exit 1
