/*
 * spoolkit: what the tests of the spool share: a folder of their own, messages whose bytes follow from their number, and a
 * recovery that notes what it found. Included once by each of those programs.
 */
#ifndef SPOOLKIT_H
#define SPOOLKIT_H

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "proc/ev.h"
#include "base/log.h"
#include "spool/spool.h"
#include "base/xmalloc.h"

#define KIT __attribute__((unused)) static

struct kit_msg {
	uint64_t	 id;
	size_t		 len;
	uint32_t	 nrcpt, flags;
	struct p_env	*env;
	struct loc	 loc;
	uint64_t	 body_off;
	int		 error;
	bool		 done;
	char		 marks[64];		/* of the first recipients, as the test set them */
	/* what recovery found */
	unsigned	 found;
	bool		 right;
};

static char kit_dir[] = "/tmp/postern-spool-XXXXXX";

/* With V=1 in the environment all of it is shown. */
KIT void
kit_log(void)
{
	bool show = getenv("V") != NULL;

	log_level(show ? LOG_LV_DEBUG : LOG_LV_ERROR);
	log_target(open(show ? "/dev/stderr" : "/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
}

KIT void
kit_begin(void)
{
	log_init("test");
	kit_log();
	ev_init();
	if (mkdtemp(kit_dir) == NULL || chdir(kit_dir) == -1)
		fatal("no folder for the test");
}

KIT void
kit_shell(const char *command)
{
	if (system(command) != 0)
		fatalx("failed: %s", command);
}

KIT void
kit_end(void)
{
	char command[128];

	if (chdir("/") == -1)
		fatal("chdir");
	snprintf(command, sizeof command, "rm -rf %s", kit_dir);
	kit_shell(command);
}

/* The byte at i of message id: text with dots and line ends. */
KIT uint8_t
kit_byte(uint64_t id, size_t i)
{
	if (i % 61 == 59)
		return '\r';
	if (i % 61 == 60)
		return '\n';
	return (uint8_t)(32 + (id * 7 + i * 31 + i / 61) % 95);
}

KIT uint8_t *
kit_bytes(uint64_t id, size_t len)
{
	uint8_t *p = xmalloc(len + 1);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = kit_byte(id, i);
	return p;
}

KIT struct p_env *
kit_env(uint64_t id, uint32_t nrcpt)
{
	struct p_env *e = xcalloc(1, sizeof *e);
	uint32_t i;

	*e = (struct p_env){ .version = 1, .id = id, .arrival = 1700000000000 + (int64_t)id, .envid = "", .client_addr = "127.0.0.1",
	    .client_name = "localhost", .helo = "kit", .proto = "ESMTP", .user = "", .uid = -1, .tag = "" };
	e->sender = xasprintf("sender%llu@example.org", (unsigned long long)id);
	e->rcpts = xcalloc(nrcpt, sizeof *e->rcpts);
	e->rcpts_n = nrcpt;
	for (i = 0; i < nrcpt; i++)
		e->rcpts[i] = (struct p_env_rcpt){ .addr = xasprintf("rcpt%u@example.net", i), .orig = "", .orcpt = "",
		    .action = "out", .sender = "", .trail = "" };
	return e;
}

KIT void
kit_env_free(struct p_env *e)
{
	uint32_t i;

	for (i = 0; i < e->rcpts_n; i++)
		free((void *)(uintptr_t)e->rcpts[i].addr);
	free(e->rcpts);
	free((void *)(uintptr_t)e->sender);
	free(e);
}

KIT void
kit_done(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct kit_msg *m = arg;

	m->done = true;
	m->error = error;
	m->loc = loc;
	m->body_off = body_off;
	kit_env_free(m->env);
	m->env = NULL;
}

KIT struct body *
kit_body(struct spool *s, struct kit_msg *m)
{
	uint8_t *bytes = kit_bytes(m->id, m->len);
	struct body *b;
	size_t at, n;

	m->env = kit_env(m->id, m->nrcpt);
	b = body_new(s, m->env);
	for (at = 0; at < m->len; at += n) {
		n = m->len - at < 10000 ? m->len - at : 10000;
		body_add(b, bytes + at, n);
	}
	bodyscan_end(&b->scan);
	m->flags = m->env->flags = b->scan.flags;
	free(bytes);
	memset(m->marks, 'p', sizeof m->marks);
	return b;
}

KIT void
kit_commit(struct spool *s, struct kit_msg *m)
{
	struct body *b = kit_body(s, m);

	spool_commit(s, b, m->env, kit_done, m);
}

/* Turns until all n are answered. */
KIT void
kit_settle(struct spool *s, struct kit_msg *m, size_t n)
{
	size_t i = 0;

	spool_turn(s);
	while (i < n) {
		if (m[i].done) {
			i++;
			continue;
		}
		ev_turn();
		spool_turn(s);
	}
}

KIT void
kit_mark(struct spool *s, struct kit_msg *m, uint32_t n, enum mark mark)
{
	if (n < sizeof m->marks)
		m->marks[n] = (char)mark;
	if (spool_mark(s, m->loc, n, mark) == -1)
		fatal("spool_mark");
}

/* The message's own bytes in its segment are the right ones. */
KIT bool
kit_body_right(int fd, uint64_t off, const struct kit_msg *m)
{
	uint8_t *want = kit_bytes(m->id, m->len), *got = xmalloc(m->len + 1);
	bool right = pread(fd, got, m->len, (off_t)off) == (ssize_t)m->len && memcmp(want, got, m->len) == 0;

	free(want);
	free(got);
	return right;
}

/* ---- recovery ---- */

struct kit_found {
	struct kit_msg	*m;		/* ids are 1 .. n */
	size_t		 n, strangers, segments;
};

KIT uint64_t
kit_scanned(void *arg, uint32_t seg, const uint8_t rnd[16])
{
	(void)arg;
	(void)seg;
	(void)rnd;
	return 0;
}

KIT void
kit_record(void *arg, const struct spool_record *r)
{
	struct kit_found *f = arg;
	char name[32], sender[64];
	struct kit_msg *m;
	uint32_t i;
	int fd;

	if (r->env.id < 1 || r->env.id > f->n) {
		f->strangers++;
		return;
	}
	m = &f->m[r->env.id - 1];
	m->found++;
	m->loc = r->loc;
	m->body_off = r->body_off;
	snprintf(name, sizeof name, "seg/%08x", r->loc.seg);
	snprintf(sender, sizeof sender, "sender%llu@example.org", (unsigned long long)m->id);
	fd = open(name, O_RDONLY);
	m->right = strcmp(r->env.sender, sender) == 0 && r->env.rcpts_n == m->nrcpt && r->body_len == m->len &&
	    kit_body_right(fd, r->body_off, m);
	for (i = 0; i < m->nrcpt && i < sizeof m->marks; i++)
		m->right &= r->marks[i] == (uint8_t)m->marks[i];
	close(fd);
}

KIT void
kit_segment(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	struct kit_found *f = arg;

	(void)seg;
	(void)rnd;
	(void)end;
	f->segments++;
}

KIT struct spool *
kit_open(struct kit_found *f)
{
	struct spool_hooks hooks = { kit_scanned, NULL, kit_record, kit_segment, f };

	return spool_open(&hooks);
}

KIT size_t
kit_count(const char *folder)
{
	char command[128];
	FILE *p;
	size_t n = 0;

	snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
	if ((p = popen(command, "r")) == NULL || fscanf(p, "%zu", &n) != 1)
		fatalx("cannot count %s", folder);
	pclose(p);
	return n;
}

#endif
