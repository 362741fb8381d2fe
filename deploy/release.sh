#!/bin/bash
# Makes the archives of a release in dist/, with their SHA-256 sums: what 'make release' does.
# The same commit, built by the same Go, gives the same bytes. Needs GNU tar and gzip.
#   release.sh [OS/ARCHITECTURE…]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "$(git status --porcelain)" ]; then
	echo "release: there are changes that are not committed; commit or stash them" >&2
	exit 1
fi
version=$(git describe --always) commit=$(git rev-parse HEAD) time=$(git log -1 --format=%ct)
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
rm -rf dist && mkdir dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for platform; do
	os=${platform%/*} arch=${platform#*/}
	name=scheduler-store_${version}_${os}_$arch
	mkdir "$work/$name"
	deploy/build.sh "$os" "$arch" "$version" "$commit" "$work/$name/scheduler-store"
	cp LICENSE NOTICE README.md "$work/$name"
	if [ "$os" = linux ]; then
		mkdir "$work/$name/systemd" && cp deploy/systemd/* "$work/$name/systemd"
	fi
	chmod -R u=rwX,go=rX "$work/$name"
	tar -C "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$time" -cf - "$name" | gzip -9n >"dist/$name.tar.gz"
	echo "dist/$name.tar.gz"
done
(cd dist && sha256sum -- *.tar.gz >SHA256SUMS)
