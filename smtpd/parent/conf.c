/*
 * conf: loading, checking and handing on the configuration. Called at the start, at each reload (reload.c) and for each program that is started.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"

struct conf *
parent_conf_load(struct parent *p, struct buf *text, struct buf *errors)
{
	struct conf_errors e = { NULL, 0, 0 };
	struct conf *c = conf_load(p->file, p->define, p->ndefine, text, &e);
	size_t i;

	for (i = 0; i < e.n; i++)
		buf_addf(errors, "%s%s\n", e.v[i].warning ? "warning: " : "", e.v[i].text);
	conf_errors_free(&e);
	return c;
}

int
parent_conf_fd(const struct parent *p)
{
	int fd = memfd_create("postern.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, buf_data(&p->text), p->text.len) != (ssize_t)p->text.len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		fatal("cannot make the children's copy of the configuration");
	return fd;
}
