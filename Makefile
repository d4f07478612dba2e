# Postern: GNU make, no autotools.
#
#   make              the programs, in $(B)/bin          make run      build, start below ./run/, send a first message
#   make check        everything short                   make install  DESTDIR= PREFIX=
#   make deps         Debian packages and accounts       make clean
#   make unit | lint | system | fuzz | crash | soak | bench            the parts of check, or longer versions of them
#   make bench BENCH=newsletter | waiting | backlog                    half a million recipients at once; a million that wait; a host that was down
#   SAN=1, V=1        address and undefined sanitizers, in a build folder of their own; the commands shown
#   DEV=1             a warning is an error (in .ci/run, and for whoever changes something)      CC=clang works too

VERSION	= 0.1
,	:= ,
PREFIX	?= /usr/local
LIBEXEC	?= $(PREFIX)/lib/postern
CONFDIR	?= /etc/postern
RUNTIME	?= /run/postern
MANDIR	?= $(PREFIX)/share/man
SAN	?=
LIBFUZZER ?=
ifneq ($(LIBFUZZER),)
override SAN = 1
override CC = clang
B	?= build-fuzz
FUZZER	= -fsanitize=fuzzer
else
REPLAY	= $(B)/obj/regress/fuzz/replay.o
endif
ifeq ($(SAN),)
B	?= build
else
B	?= build-san
endif

ifeq ($(origin CC),default)
CC	= gcc
endif
PKG	= $(shell pkg-config $(1) 2>/dev/null)
PKG_CFLAGS := $(call PKG,--cflags libbsd-overlay libevent_core)
CPPFLAGS += -D_GNU_SOURCE -iquote common $(PKG_CFLAGS)
WARN	= -Wall -Wextra -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wpointer-arith -Wcast-qual $(if $(DEV),-Werror)
ifeq ($(SAN),)
CFLAGS	?= -O2 -g
# What only some compilers or processors have is asked for, once.
has	= $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(1))
ifeq ($(origin HARDEN),undefined)
HARDEN	:= -D_FORTIFY_SOURCE=3 -fPIE -fstack-protector-strong -fstack-clash-protection $(call has,-fcf-protection) \
	   $(call has,-ftrivial-auto-var-init=zero)
endif
LDHARDEN ?= -pie -Wl,-z,relro,-z,now
else
CFLAGS	?= -O1 -g -fno-omit-frame-pointer
HARDEN	= -fPIE -fsanitize=address,undefined$(if $(LIBFUZZER),$(,)fuzzer-no-link) -fno-sanitize-recover=undefined
LDHARDEN = -pie -fsanitize=address,undefined
endif
DEFS	= -DPOSTERN_VERSION='"$(VERSION)"' -DPOSTERN_LIBEXEC='"$(LIBEXEC)"' -DPOSTERN_CONF='"$(CONFDIR)/postern.conf"' \
	  -DPOSTERN_RUNTIME='"$(RUNTIME)"'
# V=1 shows the commands.
SAY	= $(if $(V),,@echo '  $(1)  $(2)';)
COMPILE	= $(CC) -std=gnu11 $(CPPFLAGS) $(DEFS) $(WARN) $(CFLAGS) $(HARDEN) -MMD -MP
LINK	= $(CC) $(CFLAGS) $(HARDEN) $(LDFLAGS) $(LDHARDEN)
LIBS	:= $(call PKG,--libs libbsd-overlay libbsd-ctor libevent_core) -lseccomp

# ---- which source belongs to which program ----
PROGRAMS = posternd postern-listener postern-lookup postern-resolver postern-queue postern-deliver postern-agent \
	   sendmail posternctl
posternd_SRC		:= $(wildcard smtpd/parent/*.c)
postern-listener_SRC	:= $(wildcard smtpd/listener/*.c)
postern-lookup_SRC	:= $(wildcard lookup/tables/*.c)
postern-resolver_SRC	:= $(wildcard lookup/resolver/*.c)
postern-queue_SRC	:= $(wildcard queue/*.c queue/*/*.c)
postern-deliver_SRC	:= $(wildcard deliver/client/*.c)
postern-agent_SRC	:= $(wildcard deliver/agent/*.c)
sendmail_SRC		:= $(wildcard ctl/sendmail*.c ctl/submit*.c ctl/ask*.c)
posternctl_SRC		:= $(wildcard ctl/posternctl*.c ctl/show*.c ctl/ask*.c)
# The only programs that link these (regress/lint/link looks at the result).
postern-queue_LIBS	= -lsqlite3
postern-resolver_LIBS	= -lunbound

obj	= $(patsubst %.c,$(B)/obj/%.o,$(1))
all: $(PROGRAMS:%=$(B)/bin/%) $(B)/bin/mailq $(B)/bin/newaliases

$(B)/libcommon.a: $(call obj,$(wildcard common/*/*.c))
	@rm -f $@
	$(call SAY,AR,$@)ar rcs $@ $^

define program
$(B)/bin/$(1): $(call obj,$($(1)_SRC)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(call SAY,LD,$$@)$$(LINK) -o $$@ $$^ $$($(1)_LIBS) $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(B)/bin/mailq $(B)/bin/newaliases: $(B)/bin/sendmail
	$(call SAY,LN,$@)ln -sf sendmail $@

# A changed compiler, option or path builds everything anew.
$(B)/flags: force
	@mkdir -p $(B)
	@echo '$(subst ','\'',$(COMPILE))' | cmp -s - $@ || echo '$(subst ','\'',$(COMPILE))' >$@

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call SAY,CC,$<)$(COMPILE) -iquote $(firstword $(subst /, ,$<)) $(INCLUDES) -c -o $@ $<

# ---- unit tests: the line "links: a/b.c c/d.c" at a test's top says which objects it needs ----
links	= $(shell sed -n 's|^.*links: *\([^*]*\).*|\1|p;/\*\//q' $(1))
# The top-level folders of these sources: includes are written from there.
roots	= $(addprefix -iquote ,$(sort $(foreach f,$(1),$(firstword $(subst /, ,$(f))))))
UNIT	:= $(patsubst regress/unit/%.c,%,$(wildcard regress/unit/test_*.c))
define unit-test
$(B)/unit/$(1): $(B)/obj/regress/unit/$(1).o $(call obj,$(2)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(call SAY,LD,$$@)$$(LINK) -o $$@ $$^ -Wl,--as-needed -lsqlite3 -lunbound -Wl,--no-as-needed $$(LIBS)
$(B)/obj/regress/unit/$(1).o: INCLUDES = -iquote regress/unit $(call roots,$(2))
endef
$(foreach t,$(UNIT),$(eval $(call unit-test,$(t),$(call links,regress/unit/$(t).c))))
unit-build: $(UNIT:%=$(B)/unit/%)
unit: unit-build
	@B=$(B) regress/run unit

# ---- fuzz targets, under regress/fuzz/replay.c; with LIBFUZZER=1 (clang, sanitizers) under libFuzzer ----
FUZZ	:= $(patsubst regress/fuzz/%.c,%,$(wildcard regress/fuzz/fuzz_*.c))
define fuzz-target
$(B)/fuzz/$(1): $(B)/obj/regress/fuzz/$(1).o $(REPLAY) $(call obj,$(2)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(call SAY,LD,$$@)$$(LINK) $$(FUZZER) -o $$@ $$^ -Wl,--as-needed -lsqlite3 -Wl,--no-as-needed $$(LIBS)
$(B)/obj/regress/fuzz/$(1).o: INCLUDES = $(call roots,$(2))
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz-target,$(t),$(call links,regress/fuzz/$(t).c))))
fuzz-build: $(FUZZ:%=$(B)/fuzz/%)

# ---- preloaded: by regress/crash/powercut.py, by regress/system/test_slow_disk.py ----
PRELOADS := $(B)/crash/writelog.so $(B)/crash/slowdisk.so
$(B)/crash/%.so: regress/crash/%.c
	@mkdir -p $(@D)
	$(call SAY,LD,$@)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -shared -fPIC -o $@ $<

# ---- the rest ----
deps:
	@sh etc/deps.sh all
deps-build:
	@sh etc/deps.sh build
run: deps-build
	@$(MAKE) --no-print-directory all
	@B=$(B) sh etc/run.sh
check: deps
	@$(MAKE) --no-print-directory all unit-build fuzz-build $(PRELOADS)
	@B=$(B) SAN=$(SAN) regress/run check
crash: unit-build $(PRELOADS)
system: $(B)/crash/slowdisk.so
soak:
	@$(MAKE) --no-print-directory SAN=1 all
	@B=build-san SAN=1 regress/run soak
lint system model crash: all
	@B=$(B) SAN=$(SAN) regress/run $@
mutants: unit-build $(PRELOADS)
	@B=$(B) regress/crash/mutants/run
fuzz: fuzz-build
	@B=$(B) LIBFUZZER=$(LIBFUZZER) regress/run fuzz
bench: all
	@B=$(B) BIN=$(abspath $(B))/bin regress/bench/$(or $(BENCH),run)

clean:
	rm -rf build build-san build-fuzz

I = $(DESTDIR)$(PREFIX)
install: all
	install -d $(I)/sbin $(I)/bin $(I)/lib $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(CONFDIR) \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 $(I)/share/postern/fail2ban
	install -m 755 $(B)/bin/posternd $(B)/bin/posternctl $(B)/bin/sendmail $(I)/sbin/
	install -m 755 $(patsubst %,$(B)/bin/%,$(filter postern-%,$(PROGRAMS))) $(DESTDIR)$(LIBEXEC)/
	ln -sf ../sbin/sendmail $(I)/lib/sendmail
	ln -sf ../sbin/sendmail $(I)/bin/mailq
	ln -sf ../sbin/sendmail $(I)/bin/newaliases
	install -m 644 smtpd/parent/posternd.8 ctl/sendmail.8 ctl/posternctl.8 $(DESTDIR)$(MANDIR)/man8/
	install -m 644 etc/postern.conf.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 etc/postern.conf $(DESTDIR)$(CONFDIR)/postern.conf.example
	install -m 644 etc/fail2ban/filter.d/postern.conf $(I)/share/postern/fail2ban/
	[ -e $(DESTDIR)$(CONFDIR)/postern.conf ] || install -m 644 etc/postern.conf $(DESTDIR)$(CONFDIR)/

.PHONY: all force unit unit-build fuzz fuzz-build deps deps-build run check lint system model crash mutants soak bench clean install
.DELETE_ON_ERROR:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
