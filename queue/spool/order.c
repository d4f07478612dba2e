/* order: see order.h. Owns the two numbers; fatal when more is said to be durable than was made. */
#include "base/log.h"
#include "spool/order.h"

static uint64_t made, durable;

void
order_begin(void)
{
	made = durable = 0;
}

void
order_mark(void)
{
	made++;
}

void
order_durable(uint64_t number)
{
	if (number > made)
		fatalx("marks are durable that were never made");
	if (number > durable)
		durable = number;
}

uint64_t
order_marks(void)
{
	return made;
}

uint64_t
order_marks_durable(void)
{
	return durable;
}
