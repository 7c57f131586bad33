# Leat. `make` builds, `make run` shows it, `make test` proves it; `make help` lists the rest.
#
#   SANITIZE=address|thread   (address includes undefined)   CC=gcc|clang   BUILD=dir   V=1

BUILD    ?= build$(if $(SANITIZE),-$(SANITIZE))
CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0

LAYERS   := base record storage broker client config connect http cli
PACKAGES := zlib liblz4 libzstd snappy libisal openssl jansson libcyaml yaml-0.1 libcurl libmicrohttpd

include deploy/build.mk
