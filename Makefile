# Leat. `make` builds, `make run` shows it, `make test` proves it; `make help` lists the rest.
#
#   SANITIZE=address|thread   (address includes undefined)   CC=gcc|clang   BUILD=dir   V=1

CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
BUILD    ?= build$(if $(findstring clang,$(CC)),-clang)$(if $(SANITIZE),-$(SANITIZE))$(if $(POWER),-power)
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0

# The layers of core, lowest first: a layer uses only those before it.
LAYERS   := base record protocol storage broker group client config connect server http cli
PACKAGES := zlib liblz4 libzstd snappy libisal openssl jansson libcyaml yaml-0.1 libcurl libmicrohttpd libpq libpcre2-8

.DEFAULT_GOAL := all
include deploy/build.mk
include tests/power/rules.mk
include deploy/targets.mk
