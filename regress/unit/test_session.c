/* links: smtpd/listener/session.c */
/*
 * test_session: the states of a client's session: every way that the protocol has, and no other; and whose turn it is.
 */
#include <sys/wait.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "listener/session.h"
#include "test.h"

static const unsigned allowed[] = {
	[ST_GREET] = IN(ST_START),
	[ST_START] = IN(ST_HELO) | IN(ST_CHUNK),
	[ST_HELO] = IN(ST_HELO) | IN(ST_MAIL) | IN(ST_CHUNK),
	[ST_MAIL] = IN(ST_HELO) | IN(ST_DATA) | IN(ST_CHUNK),
	[ST_BDAT] = IN(ST_HELO) | IN(ST_CHUNK),
	[ST_DATA] = IN(ST_HELO),
	[ST_CHUNK] = IN(ST_START) | IN(ST_HELO) | IN(ST_MAIL) | IN(ST_BDAT),
};

static bool
enters(enum state from, enum state to)
{
	struct session s = { .state = from };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		session_enter(&s, to);
		_exit(s.state == to ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
test_states(void)
{
	enum state from, to;

	for (from = ST_GREET; from < ST_CLOSING; from++) {
		for (to = ST_GREET; to < ST_CLOSING; to++)
			if (!TEST(enters(from, to) == ((allowed[from] & IN(to)) != 0)))
				fprintf(stderr, "\tfrom %d to %d\n", (int)from, (int)to);
		TEST(enters(from, ST_CLOSING));
	}
}

static void
test_closing(void)
{
	struct session s = { .state = ST_DATA };

	session_last(&s, true);
	session_enter(&s, ST_HELO);
	TEST_INT(s.state, ST_CLOSING);
	session_last(&s, false);
	TEST(s.linger);
}

/* Who becomes ready while a turn runs waits for the next one. */
static void
test_turns(void)
{
	struct session a = { .state = ST_HELO }, b = { .state = ST_HELO };

	session_add(&a);
	session_add(&b);
	TEST(session_find(a.id) == &a && session_find(b.id) == &b);
	session_ready(&a);
	session_ready(&b);
	session_ready(&a);
	session_turn_begins();
	TEST(session_next_ready() == &b);
	session_ready(&b);
	TEST(session_next_ready() == &a);
	TEST(session_next_ready() == NULL);
	session_turn_begins();
	TEST(session_next_ready() == &b);
	session_ready(&a);
	session_remove(&a);
	session_turn_begins();
	TEST(session_next_ready() == NULL && session_find(a.id) == NULL && !session_none());
	session_remove(&b);
	TEST(session_none());
}

int
main(void)
{
	log_init("test");
	session_init();
	test_states();
	test_closing();
	test_turns();
	return test_end("session");
}
