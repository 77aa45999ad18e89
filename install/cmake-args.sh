#!/bin/sh
# Prints how llama.cpp is to be compiled on this machine, for CMAKE_ARGS.
#
# Where the compiler knows the newest processors of this kind, llama.cpp is built for all of them and
# chooses as it starts: a wheel that pip keeps then runs on another machine too, and code that this
# compiler makes wrongly for one generation is left unused for that of another. Elsewhere nothing is
# printed, and llama.cpp is built for this processor alone.
set -eu

[ "$(uname -s)" = Linux ] || exit 0
case $(uname -m) in
  x86_64) newest=-march=sapphirerapids ;;
  aarch64) newest=-march=armv9.2-a+sme ;;
  *) exit 0 ;;
esac
if echo 'int main() { return 0; }' | ${CXX:-c++} $newest -x c++ -fsyntax-only - 2>/dev/null; then
  echo -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON
fi
