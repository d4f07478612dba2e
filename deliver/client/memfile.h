/*
 * memfile: a message as a sealed, read-only memory file, for an agent.
 *
 * Used by mailbox. The agent gets these bytes and no way to the spool.
 */
#ifndef MEMFILE_H
#define MEMFILE_H

#include <stdint.h>

/* length bytes from offset of fd, whose CRC-32C is that. -> a descriptor, or -1 with errno; EBADMSG: they are others. */
int	 memfile(int fd, uint64_t offset, uint64_t length, uint32_t crc);

#endif
