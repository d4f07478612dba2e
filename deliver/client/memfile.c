/*
 * memfile: see memfile.h. Failures are -1 with errno, for the caller to put into words.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "client/memfile.h"

static int
put(int to, const uint8_t *p, ssize_t n)
{
	ssize_t w;

	for (; n > 0; p += w, n -= w)
		if ((w = write(to, p, (size_t)n)) == -1) {
			if (errno != EINTR)
				return -1;
			w = 0;
		}
	return 0;
}

static int
copy(int to, int from, uint64_t offset, uint64_t length, uint32_t want)
{
	uint32_t crc = 0;
	static uint8_t block[256 * 1024];
	ssize_t n;

	while (length > 0) {
		n = pread(from, block, length < sizeof block ? (size_t)length : sizeof block, (off_t)offset);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;		/* the file is shorter than the queue says */
		if (n <= 0 || put(to, block, n) == -1)
			return -1;
		crc = crc32c(crc, block, (size_t)n);
		offset += (uint64_t)n;
		length -= (uint64_t)n;
	}
	if (crc != want) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
memfile(int fd, uint64_t offset, uint64_t length, uint32_t crc)
{
	int mem = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;

	if (mem == -1)
		return -1;
	if (copy(mem, fd, offset, length, crc) == 0 &&
	    fcntl(mem, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return mem;
	saved = errno;
	close(mem);
	errno = saved;
	return -1;
}
