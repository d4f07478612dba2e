/* qid: see qid.h. */
#include "mail/qid.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct qid_text
qid_text(uint64_t id)
{
	struct qid_text t;
	int i;

	for (i = QID_LEN - 1; i >= 0; i--, id >>= 5)
		t.s[i] = alphabet[id & 31];
	t.s[QID_LEN] = '\0';
	return t;
}

static int
digit(char c)
{
	int i;

	if (c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	for (i = 0; alphabet[i] != '\0'; i++)
		if (alphabet[i] == c)
			return i;
	return -1;
}

bool
qid_parse(const char *s, uint64_t *id)
{
	uint64_t v = 0;
	int i, d;

	for (i = 0; i < QID_LEN; i++) {
		if ((d = digit(s[i])) == -1 || v >> 59 != 0)
			return false;
		v = v << 5 | (uint64_t)d;
	}
	*id = v;
	return s[QID_LEN] == '\0' && v >> 63 == 0;
}
