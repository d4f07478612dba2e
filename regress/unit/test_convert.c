/*
 * A message made 7-bit, part by part: what is written, what stays byte for byte, and what cannot be.
 * links: deliver/client/convert.c
 */
#include <stdlib.h>
#include <string.h>
#include "client/convert.h"
#include "test.h"

static char wrote[65536];

/* In pieces of that many bytes. -> whether it is possible; what is written is in wrote */
static bool
convert(const char *text, size_t step, bool force)
{
	struct convert_plan *plan = convert_plan_new(force);
	struct convert *c[2] = { convert_reader(plan), NULL };
	size_t n = strlen(text), at, k, i;
	struct buf out = BUF_INIT;
	bool possible;

	for (i = 0; i < 2; i++) {
		for (at = 0; at < n; at += k) {
			k = n - at < step ? n - at : step;
			convert_feed(c[i], (const uint8_t *)text + at, k, &out);
		}
		convert_end(c[i], &out);
		convert_free(c[i]);
		if (i == 0)
			c[1] = convert_writer(plan);
	}
	strlcpy(wrote, buf_str(&out), sizeof wrote);
	possible = plan->possible;
	buf_free(&out);
	convert_plan_free(plan);
	return possible;
}

static void
check(const char *text, const char *want)
{
	size_t step;

	for (step = 1; step < 80; step = step * 3 + 1) {
		TEST(convert(text, step, false));
		if (!TEST_STR(wrote, want))
			return;
	}
	TEST(convert(text, strlen(text), true));
	TEST_STR(wrote, want);
}

/* As cron writes it: no MIME at all. */
static void
test_bare(void)
{
	check("Subject: x\r\n\r\nGr\303\274\303\237e = \tz \r\nlast\r\n",
	    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Gr=C3=BC=C3=9Fe =3D \tz=20\r\nlast\r\n");
	check("S: x\r\n\r\nGr\374n and some more words\r\n",
	    "S: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Gr=FCn and some more words\r\n");
	check("Mime-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-transfer-encoding: 8BIT\r\n\r\n\301\302\303\r\n",
	    "Mime-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\nwcLDDQo=\r\n");
}

/* Only the part that needs it, and the labels around it; the line end before a delimiter is none of the part's. */
static void
test_parts(void)
{
	check("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"a b\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "pre\r\n--a b\r\n\r\nplain\r\n--a b \r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: application/x\r\n\r\n\377\376\r\n"
	    "--a b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\303\244</p>--a b\r\n\r\n--a b--\r\nepi\r\n--a b\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"a b\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	    "pre\r\n--a b\r\n\r\nplain\r\n--a b \r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n//4=\r\n\r\n"
	    "--a b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A4</p>--a b\r\n\r\n--a b--\r\nepi\r\n--a b\r\n");
}

static void
test_nested(void)
{
	check("Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\nFrom: a\r\n\r\nx\303\244 long enough\r\n--o\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nMIME-Version: 1\r\nContent-Type: multipart/alternative; boundary=oo\r\n\r\n--oo\r\n\r\n\303\266 and more\r\n--o--\r\n",
	    "Content-Type: multipart/digest; boundary=o\r\n\r\n--o\r\n\r\nFrom: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\nx=C3=A4 long enough\r\n--o\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\nMIME-Version: 1\r\nContent-Type: multipart/alternative; boundary=oo\r\n\r\n--oo\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6 and more\r\n--o--\r\n");
}

/* What is signed, or encoded already, stays: then all stays, but by force. */
static void
test_impossible(void)
{
	static const char *const no[] = {
		"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\303\244\r\n--s\r\n\r\nsig\r\n--s--\r\n",
		"Content-Transfer-Encoding: base64\r\n\r\n\303\244\r\n",
		"Content-Type: message/partial\r\n\r\n\303\244\r\n",
		"From: \303\244@b.test\r\n\r\nx\r\n",
		"To: <\303\244@b.test>\r\n\r\nx\r\n",
		"no field at all \303\244\r\n\r\nx\r\n",
	};
	size_t i;

	for (i = 0; i < sizeof no / sizeof no[0]; i++) {
		TEST(!convert(no[i], 7, false));
		TEST(convert(no[i], 7, true));
		TEST(strchr(wrote, '\303') == NULL && strchr(wrote, '\244') == NULL);
	}
	TEST(convert("Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nplain\r\n--s\r\n\r\nsig\r\n--s--\r\n\303\244\r\n", 7, false) == false);
}

static void
test_header(void)
{
	check("Subject: Gr\303\274\303\237e aus\r\n K\303\266ln\r\nTo: J\303\266rg M\303\274ller <a@b>, \"\303\204, B\" (c \303\274) <c@d>\r\nX: 1\r\n\r\nx\r\n",
	    "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?= aus\r\n =?UTF-8?Q?K=C3=B6ln?=\r\n"
	    "To: =?UTF-8?Q?J=C3=B6rg_M=C3=BCller?= <a@b>, =?UTF-8?Q?=C3=84=2C_B?= (c =?UTF-8?Q?=C3=BC?=) <c@d>\r\nX: 1\r\n\r\nx\r\n");
	check("Content-Type: a/b; name=\"\303\244.txt\"; x=y\r\n\r\n", "Content-Type: a/b; \r\n name*0*=UTF-8''%C3%A4.txt; x=y\r\n\r\n");
	check("Subject: \344\r\n\r\n", "Subject: =?unknown-8bit?Q?=E4?=\r\n\r\n");
	check("Subject: \303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244\r\n\r\n",
	    "Subject: =?UTF-8?Q?=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4?=\r\n =?UTF-8?Q?=C3=A4?=\r\n\r\n");
}

/* Lines stay within 76, and none of our making begins with a hyphen. */
static void
test_long_lines(void)
{
	char text[6000], *p, *line;
	size_t n;

	strlcpy(text, "S: x\r\n\r\n\303\244", sizeof text);
	for (n = 0; n < 5000; n++)
		strlcat(text, n % 7 == 6 ? "\t" : "-", sizeof text);
	strlcat(text, " \r\nend", sizeof text);
	TEST(convert(text, 1000, false));
	p = strstr(wrote, "\r\n\r\n") + 4;
	for (line = p; line != NULL && *line != '\0'; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1) {
		TEST(strcspn(line, "\r") <= 76 && *line != '-');
		TEST(strcspn(line, "\r") == 0 || strchr(" \t", line[strcspn(line, "\r") - 1]) == NULL);
	}
	TEST_STR(wrote + strlen(wrote) - 8, "=20\r\nend");
}

int
main(void)
{
	test_bare();
	test_parts();
	test_nested();
	test_impossible();
	test_header();
	test_long_lines();
	return test_end("convert");
}
