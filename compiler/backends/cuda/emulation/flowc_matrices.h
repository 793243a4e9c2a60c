// Tensor cores, and copies that run beside the arithmetic. The layouts of fragments are those of the PTX ISA,
// "Matrix Fragments for mma.m16n8k16" and those beside it, and "ldmatrix".
#pragma once

namespace flowc::emulation {

struct Factors {
  vec<int, 4> a;
  vec<int, 2> b;
};

template <typename T> struct alignas(SLOT) Padded {
  T value;
};

// Element `place` of those that words of 4 bytes hold, `PER_WORD` each.
template <int PER_WORD> inline unsigned part(int word, int place) {
  constexpr unsigned bits = 32 / PER_WORD;
  return (unsigned)word >> (bits * (unsigned)place) & ((1u << bits) - 1u);
}

// Row `row` of a, depth `k`: in words 0 and 1 the first half of the depth, in 2 and 3 the second.
template <int E> inline unsigned left(const Padded<Factors> *lanes, int row, int k) {
  const int word = row / 8 + 2 * (k / (4 * E)), lane = row % 8 * 4 + k % (4 * E) / E;
  return part<E>(lanes[lane].value.a.at[word], k % E);
}

template <int E> inline unsigned right(const Padded<Factors> *lanes, int k, int column) {
  return part<E>(lanes[column * 4 + k % (4 * E) / E].value.b.at[k / (4 * E)], k % E);
}

template <int E, typename Sum, typename Wide, typename Number>
inline vec<Sum, 4> multiply(const char *operation, vec<int, 4> a, vec<int, 2> b, vec<Sum, 4> c, Number number) {
  const Padded<Factors> *lanes = meet(operation, Padded<Factors>{{a, b}});
  for (int word = 0; word < 4; ++word) {
    const int row = lane() / 4 + word / 2 * 8, column = lane() % 4 * 2 + word % 2;
    Wide sum = (Wide)c.at[word];
    for (int k = 0; k < 8 * E; ++k) sum += (Wide)number(left<E>(lanes, row, k)) * (Wide)number(right<E>(lanes, k, column));
    c.at[word] = (Sum)sum;
  }
  return c;
}

struct Row {
  const char *at, *low, *high;
  const Region *region;
};

inline void read_part(const Row &row, size_t offset, size_t size, char *to) {
  const char *from = row.at + offset;
  if (from < row.low || from + size > row.high)
    fail("load_matrix outside of shared memory `%s`: byte %td of %td", row.region->name, from - row.low,
         row.high - row.low);
  row.region->access(from, size, Kind::read);
  memcpy(to, from, size);
}

template <int COUNT, typename T> inline vec<int, COUNT> load_matrix(Shared<T> row, bool transposed) {
  const Row own = {(const char *)row.at, row.low, row.high, row.region};
  if ((size_t)own.at % 16 && lane() < 8 * COUNT) fail("load_matrix of a row that is not aligned to 16 bytes");
  const Padded<Row> *rows = meet("load_matrix", Padded<Row>{own});
  vec<int, COUNT> words;
  const int g = lane() / 4, t = lane() % 4;
  for (int i = 0; i < COUNT; ++i) {
    char *word = (char *)&words.at[i];
    if (transposed) {
      for (int j = 0; j < 2; ++j) read_part(rows[8 * i + 2 * t + j].value, 2 * (size_t)g, 2, word + 2 * j);
    } else {
      read_part(rows[8 * i + g].value, 4 * (size_t)t, 4, word);
    }
  }
  return words;
}

inline void land(const Copy &copy) {
  ((const Region *)copy.region)->access(copy.target, 16, Kind::write);
  memcpy(copy.target, copy.bytes, 16);
}

}  // namespace flowc::emulation

namespace flowc {

inline vec<float, 4> multiply_f16(vec<int, 4> a, vec<int, 2> b, vec<float, 4> c) {
  return emulation::multiply<2, float, double>("multiply_f16", a, b, c,
                                               [](unsigned bits) { return half_to_float((unsigned short)bits); });
}
inline vec<float, 4> multiply_bf16(vec<int, 4> a, vec<int, 2> b, vec<float, 4> c) {
  return emulation::multiply<2, float, double>("multiply_bf16", a, b, c,
                                               [](unsigned bits) { return __int_as_float((int)(bits << 16)); });
}
inline vec<int, 4> multiply_i8(vec<int, 4> a, vec<int, 2> b, vec<int, 4> c) {
  return emulation::multiply<4, int, long long>("multiply_i8", a, b, c,
                                                [](unsigned bits) { return (signed char)bits; });
}
inline vec<int, 4> multiply_u8(vec<int, 4> a, vec<int, 2> b, vec<int, 4> c) {
  return emulation::multiply<4, int, long long>("multiply_u8", a, b, c, [](unsigned bits) { return bits; });
}

template <typename T> inline vec<int, 2> load_matrix2(emulation::Shared<T> row) {
  return emulation::load_matrix<2>(row, false);
}
template <typename T> inline vec<int, 4> load_matrix4(emulation::Shared<T> row) {
  return emulation::load_matrix<4>(row, false);
}
template <typename T> inline vec<int, 2> load_matrix2_transposed(emulation::Shared<T> row) {
  return emulation::load_matrix<2>(row, true);
}
template <typename T> inline vec<int, 4> load_matrix4_transposed(emulation::Shared<T> row) {
  return emulation::load_matrix<4>(row, true);
}

// The bytes are fetched now and land where the thread waits for them, which is when they are there at the
// latest. The place is taken from now on: who reads it in between, or still does, is found out.
template <typename T> inline void copy_async(emulation::Shared<T> target, const T *source, bool wanted) {
  using namespace emulation;
  target.check(16, Kind::write);
  Thread &self = machine.threads[machine.running];
  if (self.copy_count == self.copy_room) {
    self.copy_room = 2 * self.copy_room + 16;
    self.copies = (Copy *)realloc(self.copies, self.copy_room * sizeof(Copy));
    if (!self.copies) fail("no memory for copies");
  }
  Copy &copy = self.copies[self.copy_count++];
  copy = {{}, (char *)target.at, target.region, false, self.groups};
  if (!wanted) return;
  if ((size_t)source % 16) fail("copy_async from an address that is not aligned to 16 bytes");
  memcpy(copy.bytes, source, 16);
}

inline void commit_copies() {
  emulation::Thread &self = emulation::machine.threads[emulation::machine.running];
  for (size_t i = 0; i < self.copy_count; ++i) self.copies[i].committed = true;
  ++self.groups;
}

template <int PENDING> inline void wait_copies() {
  using namespace emulation;
  Thread &self = machine.threads[machine.running];
  size_t kept = 0;
  for (size_t i = 0; i < self.copy_count; ++i) {
    const Copy &copy = self.copies[i];
    if (copy.committed && copy.group + PENDING < self.groups)
      land(copy);
    else
      self.copies[kept++] = copy;
  }
  self.copy_count = kept;
}

}  // namespace flowc
