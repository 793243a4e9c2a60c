; Where a sleeping worker wakes.
;
; A kernel may wake a thread on the processor of the thread that wakes it, behind it, though another one idles, and
; leave it there for milliseconds: Linux does where both have slept for a while. The launch is then no wider than its
; caller. So before it wakes a worker, the caller forbids it its own processor, and the worker, as soon as it runs,
; allows itself again what it might use before.

%place = type { i64, i64, [PROCESSOR_BYTES x i8] }    ; the thread, whether it was moved, its processors before

declare i64 @pthread_self()
declare i32 @pthread_getaffinity_np(i64, i64, ptr)
declare i32 @pthread_setaffinity_np(i64, i64, ptr)
declare i32 @sched_getcpu()

; Notes that the calling thread is about to sleep.
define internal void @note_place(ptr %place) nounwind {
  %moved = getelementptr %place, ptr %place, i64 0, i32 1
  %self = call i64 @pthread_self()
  store i64 %self, ptr %place
  store i64 0, ptr %moved
  ret void
}

; Forbids a sleeper the processor of the calling thread, unless it may use no other.
define internal void @move_away(ptr %place) nounwind {
entry:
  %moved = getelementptr %place, ptr %place, i64 0, i32 1
  %processors = getelementptr %place, ptr %place, i64 0, i32 2
  %thread = load i64, ptr %place
  %unread = call i32 @pthread_getaffinity_np(i64 %thread, i64 PROCESSOR_BYTES, ptr %processors)
  %here = call i32 @sched_getcpu()
  %processor = sext i32 %here to i64
  %read = icmp eq i32 %unread, 0
  %known = icmp ult i64 %processor, PROCESSORS          ; -1 where there is no answer
  %both = and i1 %read, %known
  br i1 %both, label %forbid, label %end
forbid:
  %number = lshr i64 %processor, 3
  %bit = and i64 %processor, 7
  %bit.8 = trunc i64 %bit to i8
  %own = shl i8 1, %bit.8
  %others = xor i8 %own, -1
  %byte = getelementptr i8, ptr %processors, i64 %number
  %all = load i8, ptr %byte
  %rest = and i8 %all, %others
  store i8 %rest, ptr %byte
  %error = call i32 @pthread_setaffinity_np(i64 %thread, i64 PROCESSOR_BYTES, ptr %processors)
  store i8 %all, ptr %byte
  %done = icmp eq i32 %error, 0                         ; a set without any is refused, and changes nothing
  %done.64 = zext i1 %done to i64
  store i64 %done.64, ptr %moved
  br label %end
end:
  ret void
}

; Allows the calling thread what it might use before it was moved, if it was.
define internal void @allow_all(ptr %place) nounwind {
entry:
  %moved = getelementptr %place, ptr %place, i64 0, i32 1
  %was = load i64, ptr %moved
  %some = icmp ne i64 %was, 0
  br i1 %some, label %allow, label %end
allow:
  %processors = getelementptr %place, ptr %place, i64 0, i32 2
  %self = load i64, ptr %place
  %error = call i32 @pthread_setaffinity_np(i64 %self, i64 PROCESSOR_BYTES, ptr %processors)
  br label %end
end:
  ret void
}
