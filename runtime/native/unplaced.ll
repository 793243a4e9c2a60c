; The functions of `placing.ll` where threads cannot be told their processors: the system places them.

%place = type { i64 }

define internal void @note_place(ptr %place) nounwind {
  ret void
}

define internal void @move_away(ptr %place) nounwind {
  ret void
}

define internal void @allow_all(ptr %place) nounwind {
  ret void
}
