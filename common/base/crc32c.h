/* crc32c: CRC-32C (Castagnoli, RFC 3720 B.4), with the SSE 4.2 instruction where the CPU has it. Pure code. */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with 0; feed the result back in for the next piece. */
uint32_t crc32c(uint32_t crc, const void *, size_t);

#endif
