; The memory of native kernels.
;
;   void *flowc_allocate(long bytes)            aligned to a cache line at least; null where there is none
;   void flowc_free(void *block, long bytes)    `bytes` as they were asked for
;   void flowc_trim()                           gives idle blocks back to the system
;
; The first touch of fresh pages costs more than most kernels. So a large block, mapped on its own at the edge of
; a huge page with huge pages advised, is kept when it is freed, and the next block of its size is that one. The
; youngest are kept: at most SLOTS, at most KEPT_BYTES in all. Sizes are rounded to an eighth of a power of two,
; so that blocks of about the same size are of the same size. Small memory is the C library's.
;
; One thread at a time looks at what is kept; who finds another there maps afresh, or unmaps.

@looking = internal global i64 0, align 128
@kept = internal global i64 0, align 128                     ; slots in use: the first ones, oldest first
@kept_bytes = internal global i64 0
@blocks = internal global [SLOTS x { ptr, i64 }] zeroinitializer

declare i32 @posix_memalign(ptr, i64, i64)
declare void @free(ptr)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare i64 @llvm.ctlz.i64(i64, i1)
declare i64 @llvm.umax.i64(i64, i64)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)

define ptr @flowc_allocate(i64 %bytes) nounwind {
entry:
  %place = alloca ptr
  %too_large = icmp ugt i64 %bytes, LARGEST
  br i1 %too_large, label %none, label %possible
possible:
  %large = icmp uge i64 %bytes, LARGE
  br i1 %large, label %look, label %small
small:
  %some = call i64 @llvm.umax.i64(i64 %bytes, i64 1)
  %error = call i32 @posix_memalign(ptr %place, i64 64, i64 %some)
  %fine = icmp eq i32 %error, 0
  br i1 %fine, label %got, label %none
got:
  %block = load ptr, ptr %place
  ret ptr %block
look:
  %size = call i64 @rounded(i64 %bytes)
  %was = atomicrmw xchg ptr @looking, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %find, label %fresh
find:
  %found = call ptr @take_kept(i64 %size)
  store atomic i64 0, ptr @looking release, align 8
  %missing = icmp eq ptr %found, null
  br i1 %missing, label %fresh, label %reuse
reuse:
  ret ptr %found
fresh:
  %mapped = call ptr @map(i64 %size)
  ret ptr %mapped
none:
  ret ptr null
}

define void @flowc_free(ptr %block, i64 %bytes) nounwind {
entry:
  %large = icmp uge i64 %bytes, LARGE
  br i1 %large, label %look, label %small
small:
  call void @free(ptr %block)
  ret void
look:
  %size = call i64 @rounded(i64 %bytes)
  %worth = icmp ule i64 %size, KEPT_BYTES
  br i1 %worth, label %try, label %unmap
try:
  %was = atomicrmw xchg ptr @looking, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %keep, label %unmap
keep:
  call void @keep(ptr %block, i64 %size)
  store atomic i64 0, ptr @looking release, align 8
  ret void
unmap:
  %r = call i32 @munmap(ptr %block, i64 %size)
  ret void
}

define void @flowc_trim() nounwind {
entry:
  %was = atomicrmw xchg ptr @looking, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %head, label %end
head:
  %kept = load i64, ptr @kept
  %some = icmp sgt i64 %kept, 0
  br i1 %some, label %drop, label %done
drop:
  call void @drop_oldest()
  br label %head
done:
  store atomic i64 0, ptr @looking release, align 8
  br label %end
end:
  ret void
}

; In a forked child: the thread that was looking at what is kept does not exist, and may have been half done.
define void @flowc_reset_arena() nounwind {
entry:
  %was = load atomic i64, ptr @looking seq_cst, align 8
  %free = icmp eq i64 %was, 0
  br i1 %free, label %end, label %forget
forget:
  store i64 0, ptr @kept
  store i64 0, ptr @kept_bytes
  store atomic i64 0, ptr @looking seq_cst, align 8
  br label %end
end:
  ret void
}

; The size of a large block: a multiple of an eighth of the power of two below, and of a huge page.
define internal i64 @rounded(i64 %bytes) nounwind {
  %zeros = call i64 @llvm.ctlz.i64(i64 %bytes, i1 true)
  %shift = sub i64 60, %zeros
  %eighth = shl i64 1, %shift
  %step = call i64 @llvm.umax.i64(i64 %eighth, i64 HUGE_PAGE)
  %less = sub i64 %step, 1
  %up = add i64 %bytes, %less
  %mask = xor i64 %less, -1
  %size = and i64 %up, %mask
  ret i64 %size
}

; A fresh block at the edge of a huge page: what is mapped too much on both sides is given back at once.
define internal ptr @map(i64 %size) nounwind {
entry:
  %more = add i64 %size, HUGE_PAGE
  %base = call ptr @mmap(ptr null, i64 %more, i32 PROT_READ_WRITE, i32 MAP_FLAGS, i32 -1, i64 0)
  %address = ptrtoint ptr %base to i64
  %failed = icmp eq i64 %address, -1
  br i1 %failed, label %none, label %cut
none:
  ret ptr null
cut:
  %less = sub i64 HUGE_PAGE, 1
  %negative = sub i64 0, %address
  %before = and i64 %negative, %less
  %after = sub i64 HUGE_PAGE, %before
  %block = getelementptr i8, ptr %base, i64 %before
  %end = getelementptr i8, ptr %block, i64 %size
  %r0 = call i32 @munmap(ptr %end, i64 %after)
  %aligned = icmp eq i64 %before, 0
  br i1 %aligned, label %advise, label %cut_before
cut_before:
  %r1 = call i32 @munmap(ptr %base, i64 %before)
  br label %advise
advise:
  %r2 = call i32 @madvise(ptr %block, i64 %size, i32 MADV_HUGEPAGE)
  ret ptr %block
}

; The youngest kept block of a size, which is then kept no more; or null. For the one who is looking.
define internal ptr @take_kept(i64 %size) nounwind {
entry:
  %kept = load i64, ptr @kept
  br label %head
head:
  %i = phi i64 [ %kept, %entry ], [ %slot, %look ]
  %some = icmp sgt i64 %i, 0
  br i1 %some, label %look, label %none
look:
  %slot = sub i64 %i, 1
  %size.place = getelementptr [SLOTS x { ptr, i64 }], ptr @blocks, i64 0, i64 %slot, i32 1
  %own = load i64, ptr %size.place
  %same = icmp eq i64 %own, %size
  br i1 %same, label %take, label %head
take:
  %block = call ptr @remove(i64 %slot)
  ret ptr %block
none:
  ret ptr null
}

; Keeps a block, in place of the oldest where there is no room.
define internal void @keep(ptr %block, i64 %size) nounwind {
entry:
  br label %head
head:
  %kept = load i64, ptr @kept
  %bytes = load i64, ptr @kept_bytes
  %after = add i64 %bytes, %size
  %slots_full = icmp uge i64 %kept, SLOTS
  %bytes_full = icmp ugt i64 %after, KEPT_BYTES
  %full = or i1 %slots_full, %bytes_full
  br i1 %full, label %drop, label %add
drop:
  call void @drop_oldest()
  br label %head
add:
  %place = getelementptr [SLOTS x { ptr, i64 }], ptr @blocks, i64 0, i64 %kept
  %size.place = getelementptr { ptr, i64 }, ptr %place, i64 0, i32 1
  store ptr %block, ptr %place
  store i64 %size, ptr %size.place
  %more = add i64 %kept, 1
  store i64 %more, ptr @kept
  store i64 %after, ptr @kept_bytes
  ret void
}

define internal void @drop_oldest() nounwind {
  %size.place = getelementptr { ptr, i64 }, ptr @blocks, i64 0, i32 1
  %size = load i64, ptr %size.place
  %block = call ptr @remove(i64 0)
  %r = call i32 @munmap(ptr %block, i64 %size)
  ret void
}

; Takes a slot out of the row; gives its block.
define internal ptr @remove(i64 %slot) nounwind {
  %place = getelementptr [SLOTS x { ptr, i64 }], ptr @blocks, i64 0, i64 %slot
  %size.place = getelementptr { ptr, i64 }, ptr %place, i64 0, i32 1
  %next = getelementptr { ptr, i64 }, ptr %place, i64 1
  %block = load ptr, ptr %place
  %size = load i64, ptr %size.place
  %kept = load i64, ptr @kept
  %less = sub i64 %kept, 1
  %behind = sub i64 %less, %slot
  %moved = mul i64 %behind, 16
  call void @llvm.memmove.p0.p0.i64(ptr %place, ptr %next, i64 %moved, i1 false)
  store i64 %less, ptr @kept
  %bytes = load i64, ptr @kept_bytes
  %rest = sub i64 %bytes, %size
  store i64 %rest, ptr @kept_bytes
  ret ptr %block
}
