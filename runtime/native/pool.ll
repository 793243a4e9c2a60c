; The thread pool of native kernels.
;
;   void flowc_parallel(void (*body)(void *environment, long low, long high), void *environment,
;                       long extent, long grain, long work)
;
; calls `body` for each chunk [k * grain, min((k + 1) * grain, extent)), in any order, on the calling thread and
; on as many others as `work`, the nanoseconds that the whole range is thought to take, is worth.
;
; One launch at a time owns the pool. Who finds it owned (another Python thread, a kernel inside a kernel) runs
; its chunks itself, so there are never more busy threads than asked for.
;
; A launch writes the job, opens it (clears CLOSED in @active) and raises @generation, which the workers watch:
; for SPIN nanoseconds after their last job by looking, then asleep on a condition of their own. A worker enters an open job
; by adding one to @active. The caller works too; when no chunk is left it sets CLOSED, so that none enters any
; more, and waits until those inside have left. A worker that wakes late finds the job closed and nobody waits
; for it.
;
; Words in capitals are numbers that `library.py` fills in.

@threads = internal global i64 1, align 128      ; how many threads a launch may use, its caller included
@workers = internal global i64 0                 ; how many have been started; changed only by the owner
@refused = internal global i64 0                 ; 1 once the system gave no thread: not asked again

@owned = internal global i64 0, align 128        ; 1 while a launch owns the pool
@generation = internal global i64 0, align 128   ; launches so far
@active = internal global i64 CLOSED, align 128  ; workers inside the job, plus CLOSED
@taken = internal global i64 0, align 128        ; chunks taken from the low end, plus 2^32 times the high end
@sleeping = internal global i64 0, align 128     ; workers that sleep or are about to
@youngest = internal global ptr null             ; those asleep, on their stacks; the mutex is theirs

; The next older one, whether it was woken, its condition, its place.
%sleeper = type { ptr, i64, [128 x i8], %place }
@waiting = internal global i64 0                 ; 1 while the caller sleeps until the workers have left

; The job: written by the owner while it is closed.
@body = internal global ptr null, align 128
@environment = internal global ptr null
@extent = internal global i64 0
@grain = internal global i64 0
@count = internal global i64 0                   ; chunks
@helpers = internal global i64 0                 ; how many workers may enter

; pthread_mutex_t and pthread_cond_t are smaller than this everywhere.
@mutex = internal global [128 x i8] zeroinitializer, align 128
@all_left = internal global [128 x i8] zeroinitializer, align 128

declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_destroy(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)

define void @flowc_parallel(ptr %body, ptr %environment, i64 %extent, i64 %grain.given, i64 %work) nounwind {
entry:
  %grain = call i64 @llvm.smax.i64(i64 %grain.given, i64 1)
  %count = call i64 @chunks(i64 %extent, i64 %grain)
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %price = call i64 @price_of_a_thread()
  %worth = sdiv i64 %work, %price
  %width.0 = call i64 @llvm.smin.i64(i64 %threads, i64 %worth)
  %width = call i64 @llvm.smin.i64(i64 %width.0, i64 %count)
  %several = icmp sgt i64 %width, 1
  %countable = icmp slt i64 %count, 2147483648           ; so that both halves of @taken hold it
  %shared = and i1 %several, %countable
  br i1 %shared, label %own, label %alone

own:
  %was = atomicrmw xchg ptr @owned, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %start, label %alone

start:
  %wanted = sub i64 %width, 1
  %helpers = call i64 @start_workers(i64 %wanted)
  %some = icmp sgt i64 %helpers, 0
  br i1 %some, label %open, label %give_up

open:
  store ptr %body, ptr @body
  store ptr %environment, ptr @environment
  store i64 %extent, ptr @extent
  store i64 %grain, ptr @grain
  store i64 %count, ptr @count
  store atomic i64 %helpers, ptr @helpers monotonic, align 8
  store atomic i64 0, ptr @taken monotonic, align 8
  %opened = atomicrmw and ptr @active, i64 INSIDE release
  %before = atomicrmw add ptr @generation, i64 1 seq_cst
  call void @wake(i64 %helpers)
  call void @run_chunks(i64 0)
  %closed = atomicrmw or ptr @active, i64 CLOSED acq_rel
  %inside = and i64 %closed, INSIDE
  %left = icmp eq i64 %inside, 0
  br i1 %left, label %done, label %wait

wait:
  call void @wait_until_left()
  br label %done

done:
  store atomic i64 0, ptr @owned release, align 8
  ret void

give_up:
  store atomic i64 0, ptr @owned release, align 8
  br label %alone

alone:
  call void @run_alone(ptr %body, ptr %environment, i64 %extent, i64 %grain, i64 %count)
  ret void
}

; The nanoseconds of work that make one more thread pay: more where it must be woken or made first.
define internal i64 @price_of_a_thread() nounwind {
  %workers = load atomic i64, ptr @workers monotonic, align 8
  %sleeping = load atomic i64, ptr @sleeping monotonic, align 8
  %awake = icmp sgt i64 %workers, %sleeping
  %price = select i1 %awake, i64 PAYS_AWAKE, i64 PAYS_ASLEEP
  ret i64 %price
}

; How many chunks there are.
define internal i64 @chunks(i64 %extent, i64 %grain) nounwind {
  %size = call i64 @llvm.smax.i64(i64 %extent, i64 0)
  %whole = udiv i64 %size, %grain
  %rest = urem i64 %size, %grain
  %more = icmp ne i64 %rest, 0
  %last = zext i1 %more to i64
  %count = add i64 %whole, %last
  ret i64 %count
}

; All chunks in order, on this thread.
define internal void @run_alone(ptr %body, ptr %environment, i64 %extent, i64 %grain, i64 %count) nounwind {
entry:
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %next, %chunk ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %chunk, label %end
chunk:
  call void @run_chunk(ptr %body, ptr %environment, i64 %extent, i64 %grain, i64 %k)
  %next = add i64 %k, 1
  br label %head
end:
  ret void
}

define internal void @run_chunk(ptr %body, ptr %environment, i64 %extent, i64 %grain, i64 %k) nounwind {
  %low = mul i64 %k, %grain
  %rest = sub i64 %extent, %low
  %size = call i64 @llvm.smin.i64(i64 %rest, i64 %grain)
  %high = add i64 %low, %size
  call void %body(ptr %environment, i64 %low, i64 %high)
  ret void
}

; Takes chunks of the job until none is left: the caller and every other worker from the low end, the rest from
; the high end. So each thread runs through neighbouring chunks, and in the next launch over the same arrays
; through about the same ones, which its cache may still hold.
define internal void @run_chunks(i64 %from_above) nounwind {
entry:
  %body = load ptr, ptr @body
  %environment = load ptr, ptr @environment
  %extent = load i64, ptr @extent
  %grain = load i64, ptr @grain
  %count = load i64, ptr @count
  %above = icmp ne i64 %from_above, 0
  %one = select i1 %above, i64 4294967296, i64 1
  %last = sub i64 %count, 1
  br label %take
take:
  %taken = atomicrmw add ptr @taken, i64 %one monotonic
  %low = and i64 %taken, 4294967295
  %high = lshr i64 %taken, 32
  %both = add i64 %low, %high
  %more = icmp ult i64 %both, %count
  br i1 %more, label %chunk, label %end
chunk:
  %k.above = sub i64 %last, %high
  %k = select i1 %above, i64 %k.above, i64 %low
  call void @run_chunk(ptr %body, ptr %environment, i64 %extent, i64 %grain, i64 %k)
  br label %take
end:
  ret void
}

; Makes sure that so many workers exist, or as many as the system allows; gives how many may be used. They block
; every signal but those that a fault raises in the thread itself, so that Python's handlers run where they did.
define internal i64 @start_workers(i64 %wanted) nounwind {
entry:
  %thread = alloca i64
  %attributes = alloca [256 x i8], align 16
  %all = alloca [256 x i8], align 16
  %old = alloca [256 x i8], align 16
  %have = load atomic i64, ptr @workers monotonic, align 8
  %refused = load atomic i64, ptr @refused monotonic, align 8
  %fewer = icmp slt i64 %have, %wanted
  %allowed = icmp eq i64 %refused, 0
  %try = and i1 %fewer, %allowed
  br i1 %try, label %mask, label %end
mask:
  %r0 = call i32 @sigfillset(ptr %all)
  %r1 = call i32 @sigdelset(ptr %all, i32 SIGSEGV)
  %r2 = call i32 @sigdelset(ptr %all, i32 SIGBUS)
  %r3 = call i32 @sigdelset(ptr %all, i32 SIGFPE)
  %r4 = call i32 @sigdelset(ptr %all, i32 SIGILL)
  %r5 = call i32 @pthread_sigmask(i32 SIG_SETMASK, ptr %all, ptr %old)
  %r6 = call i32 @pthread_attr_init(ptr %attributes)
  %r7 = call i32 @pthread_attr_setstacksize(ptr %attributes, i64 STACK_BYTES)
  br label %create
create:
  %number = load atomic i64, ptr @workers monotonic, align 8
  %argument = inttoptr i64 %number to ptr
  %error = call i32 @pthread_create(ptr %thread, ptr %attributes, ptr @worker, ptr %argument)
  %created = icmp eq i32 %error, 0
  br i1 %created, label %count, label %refuse
count:
  %handle = load i64, ptr %thread
  %r8 = call i32 @pthread_detach(i64 %handle)
  %more = add i64 %number, 1
  store atomic i64 %more, ptr @workers monotonic, align 8
  %enough = icmp sge i64 %more, %wanted
  br i1 %enough, label %restore, label %create
refuse:
  store atomic i64 1, ptr @refused monotonic, align 8
  br label %restore
restore:
  %r9 = call i32 @pthread_attr_destroy(ptr %attributes)
  %r10 = call i32 @pthread_sigmask(i32 SIG_SETMASK, ptr %old, ptr null)
  br label %end
end:
  %now = load atomic i64, ptr @workers monotonic, align 8
  %usable = call i64 @llvm.smin.i64(i64 %now, i64 %wanted)
  ret i64 %usable
}

; Wakes as many sleepers as are wanted beyond those awake, the youngest first, off the processor of the caller.
define internal void @wake(i64 %wanted) nounwind {
entry:
  %sleeping = load atomic i64, ptr @sleeping seq_cst, align 8
  %workers = load atomic i64, ptr @workers monotonic, align 8
  %awake = sub i64 %workers, %sleeping
  %missing = sub i64 %wanted, %awake
  %some = icmp sgt i64 %missing, 0
  br i1 %some, label %lock, label %end
lock:
  %r0 = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %left = phi i64 [ %missing, %lock ], [ %less, %rouse ]
  %who = load ptr, ptr @youngest
  %there = icmp ne ptr %who, null
  %more = icmp sgt i64 %left, 0
  %one = and i1 %there, %more
  br i1 %one, label %rouse, label %unlock
rouse:
  %next = load ptr, ptr %who
  store ptr %next, ptr @youngest
  %r1 = atomicrmw sub ptr @sleeping, i64 1 seq_cst
  %place = getelementptr %sleeper, ptr %who, i64 0, i32 3
  call void @move_away(ptr %place)
  %woken = getelementptr %sleeper, ptr %who, i64 0, i32 1
  store i64 1, ptr %woken
  %condition = getelementptr %sleeper, ptr %who, i64 0, i32 2
  %r2 = call i32 @pthread_cond_signal(ptr %condition)
  %less = sub i64 %left, 1
  br label %look
unlock:
  %r3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %end
end:
  ret void
}

define internal ptr @worker(ptr %argument) nounwind {
entry:
  %number = ptrtoint ptr %argument to i64
  %even = and i64 %number, 1
  %from_above = xor i64 %even, 1
  br label %next
next:
  ; A new worker has seen no launch: it looks for the job that it was made for at once.
  %seen = phi i64 [ -1, %entry ], [ %generation, %leave ], [ %generation, %last ], [ %generation, %tell ]
  %generation = call i64 @await_launch(i64 %seen)
  %before = atomicrmw add ptr @active, i64 1 acquire
  %helpers = load atomic i64, ptr @helpers monotonic, align 8
  %open = icmp ult i64 %before, %helpers             ; CLOSED is larger than any number of helpers
  br i1 %open, label %help, label %leave
help:
  call void @run_chunks(i64 %from_above)
  br label %leave
leave:
  %inside = atomicrmw sub ptr @active, i64 1 seq_cst
  %alone = icmp eq i64 %inside, LAST_INSIDE
  br i1 %alone, label %last, label %next
last:
  %waiting = load atomic i64, ptr @waiting seq_cst, align 8
  %asked = icmp ne i64 %waiting, 0
  br i1 %asked, label %tell, label %next
tell:
  %r0 = call i32 @pthread_mutex_lock(ptr @mutex)
  %r1 = call i32 @pthread_cond_signal(ptr @all_left)
  %r2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %next
}

; Returns once @generation is no longer `seen`, with its value.
define internal i64 @await_launch(i64 %seen) nounwind {
entry:
  %self = alloca %sleeper, align 8
  %start = call i64 @nanoseconds()
  br label %spin
spin:
  %round = phi i64 [ 0, %entry ], [ %round.next, %again ], [ 0, %clock ]
  %now = load atomic i64, ptr @generation acquire, align 8
  %changed = icmp ne i64 %now, %seen
  br i1 %changed, label %go, label %again
again:
  call void asm sideeffect "PAUSE", ""()
  %round.next = add i64 %round, 1
  %look = icmp eq i64 %round.next, 16
  br i1 %look, label %clock, label %spin
clock:
  %time = call i64 @nanoseconds()
  %spent = sub i64 %time, %start
  %patient = icmp slt i64 %spent, SPIN
  br i1 %patient, label %spin, label %sleep
sleep:
  %r0 = call i32 @pthread_mutex_lock(ptr @mutex)
  %r1 = atomicrmw add ptr @sleeping, i64 1 seq_cst
  %value = load atomic i64, ptr @generation seq_cst, align 8
  %there = icmp ne i64 %value, %seen
  br i1 %there, label %rise, label %lie_down
rise:
  %r2 = atomicrmw sub ptr @sleeping, i64 1 seq_cst
  %r3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret i64 %value
lie_down:
  call void @sleep(ptr %self)
  %r4 = call i32 @pthread_mutex_unlock(ptr @mutex)
  %place = getelementptr %sleeper, ptr %self, i64 0, i32 3
  call void @allow_all(ptr %place)
  %latest = load atomic i64, ptr @generation seq_cst, align 8
  ret i64 %latest
go:
  ret i64 %now
}

; Waits, without the mutex, until a launch wakes the calling thread.
define internal void @sleep(ptr %self) nounwind {
entry:
  %woken = getelementptr %sleeper, ptr %self, i64 0, i32 1
  %condition = getelementptr %sleeper, ptr %self, i64 0, i32 2
  %place = getelementptr %sleeper, ptr %self, i64 0, i32 3
  store i64 0, ptr %woken
  %r0 = call i32 @pthread_cond_init(ptr %condition, ptr null)
  call void @note_place(ptr %place)
  %next = load ptr, ptr @youngest
  store ptr %next, ptr %self
  store ptr %self, ptr @youngest
  br label %nap
nap:
  %r1 = call i32 @pthread_cond_wait(ptr %condition, ptr @mutex)
  %awake = load i64, ptr %woken
  %called = icmp ne i64 %awake, 0
  br i1 %called, label %end, label %nap
end:
  %r2 = call i32 @pthread_cond_destroy(ptr %condition)
  ret void
}

; Returns once no worker is inside the closed job.
define internal void @wait_until_left() nounwind {
entry:
  %start = call i64 @nanoseconds()
  br label %spin
spin:
  %round = phi i64 [ 0, %entry ], [ %round.next, %again ], [ 0, %clock ]
  %active = load atomic i64, ptr @active acquire, align 8
  %gone = icmp eq i64 %active, CLOSED
  br i1 %gone, label %end, label %again
again:
  call void asm sideeffect "PAUSE", ""()
  %round.next = add i64 %round, 1
  %look = icmp eq i64 %round.next, 16
  br i1 %look, label %clock, label %spin
clock:
  %time = call i64 @nanoseconds()
  %spent = sub i64 %time, %start
  %patient = icmp slt i64 %spent, SPIN
  br i1 %patient, label %spin, label %sleep
sleep:
  %r0 = call i32 @pthread_mutex_lock(ptr @mutex)
  store atomic i64 1, ptr @waiting seq_cst, align 8
  br label %look_again
look_again:
  %left = load atomic i64, ptr @active seq_cst, align 8
  %none = icmp eq i64 %left, CLOSED
  br i1 %none, label %rise, label %nap
nap:
  %r1 = call i32 @pthread_cond_wait(ptr @all_left, ptr @mutex)
  br label %look_again
rise:
  store atomic i64 0, ptr @waiting seq_cst, align 8
  %r2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
end:
  ret void
}

define internal i64 @nanoseconds() nounwind {
  %time = alloca { i64, i64 }
  %r0 = call i32 @clock_gettime(i32 CLOCK_MONOTONIC, ptr %time)
  %rest.place = getelementptr { i64, i64 }, ptr %time, i64 0, i32 1
  %seconds = load i64, ptr %time
  %rest = load i64, ptr %rest.place
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}

define i64 @flowc_threads() nounwind {
  %threads = load atomic i64, ptr @threads monotonic, align 8
  ret i64 %threads
}

; Sets how many threads a launch may use. Those beyond the number sleep on.
define void @flowc_set_threads(i64 %threads) nounwind {
  store atomic i64 %threads, ptr @threads monotonic, align 8
  store atomic i64 0, ptr @refused monotonic, align 8
  ret void
}

; Makes a pool without workers: at the start, and in a forked child, where the workers do not exist and the
; mutex may be held by a thread that does not either.
define void @flowc_reset_pool() nounwind {
  store atomic i64 0, ptr @workers monotonic, align 8
  store atomic i64 0, ptr @refused monotonic, align 8
  store atomic i64 0, ptr @sleeping monotonic, align 8
  store i64 0, ptr @waiting
  store ptr null, ptr @youngest
  store atomic i64 CLOSED, ptr @active seq_cst, align 8
  %r0 = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %r1 = call i32 @pthread_cond_init(ptr @all_left, ptr null)
  store atomic i64 0, ptr @owned seq_cst, align 8
  ret void
}
