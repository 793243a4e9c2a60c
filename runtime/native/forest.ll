; Forests of regression trees.
;
;   void flowc_forest(double *row, node *nodes, double *leaves, long *roots, long *ends, long functions,
;                     double *values)
;
; For each function the sum of its trees at a row of features: those of the first have the roots up to ends[0].
; A node sends a row whose feature is at most its threshold to its first child, else to its second. A root or a
; child below zero is a leaf, the complement of its number.
;
; TREES are walked side by side, a step in each at a time: a walk waits for memory at each step, and so they wait
; together. Who has come to a leaf stays there. The loops over them are unrolled, and their places kept in
; registers. The nodes of a forest that is a leaf alone are never asked for.

%node = type { double, i32, [2 x i32] }                      ; threshold, feature, children

define void @flowc_forest(ptr %row, ptr %nodes, ptr %leaves, ptr %roots, ptr %ends, i64 %functions,
                          ptr %values) nounwind {
entry:
  %places = alloca [TREES x i64]
  br label %function
function:
  %f = phi i64 [ 0, %entry ], [ %f1, %done ]
  %first = phi i64 [ 0, %entry ], [ %end, %done ]
  %end_at = getelementptr i64, ptr %ends, i64 %f
  %end = load i64, ptr %end_at
  br label %some
some:                                                        ; the next trees, those behind the end left out
  %t = phi i64 [ %first, %function ], [ %t1, %some_done ]
  %sum = phi double [ 0.0, %function ], [ %sum1, %some_done ]
  br label %start
start:
  %s = phi i64 [ 0, %some ], [ %s1, %start ]
  %ts = add i64 %t, %s
  %there = icmp slt i64 %ts, %end
  %tree = select i1 %there, i64 %ts, i64 %t
  %root_at = getelementptr i64, ptr %roots, i64 %tree
  %root = load i64, ptr %root_at
  %place_s = getelementptr i64, ptr %places, i64 %s
  store i64 %root, ptr %place_s
  %s1 = add i64 %s, 1
  %s_more = icmp ult i64 %s1, TREES
  br i1 %s_more, label %start, label %look
look:                                                        ; whether all have come to a leaf
  br label %ask
ask:
  %a = phi i64 [ 0, %look ], [ %a1, %ask ]
  %all = phi i64 [ -1, %look ], [ %all1, %ask ]
  %place_a = getelementptr i64, ptr %places, i64 %a
  %asked = load i64, ptr %place_a
  %all1 = and i64 %all, %asked
  %a1 = add i64 %a, 1
  %a_more = icmp ult i64 %a1, TREES
  br i1 %a_more, label %ask, label %asked_all
asked_all:
  %ended = icmp slt i64 %all1, 0
  br i1 %ended, label %add, label %step
step:
  %w = phi i64 [ 0, %asked_all ], [ %w1, %step ]
  %place_w = getelementptr i64, ptr %places, i64 %w
  %place = load i64, ptr %place_w
  %is_leaf = icmp slt i64 %place, 0
  %node = select i1 %is_leaf, i64 0, i64 %place
  %threshold_at = getelementptr %node, ptr %nodes, i64 %node, i32 0
  %feature_at = getelementptr %node, ptr %nodes, i64 %node, i32 1
  %threshold = load double, ptr %threshold_at
  %feature = load i32, ptr %feature_at
  %value_at = getelementptr double, ptr %row, i32 %feature
  %value = load double, ptr %value_at
  %right = fcmp ogt double %value, %threshold
  %which = zext i1 %right to i64
  %child_at = getelementptr %node, ptr %nodes, i64 %node, i32 2, i64 %which
  %child32 = load i32, ptr %child_at
  %child = sext i32 %child32 to i64
  %next = select i1 %is_leaf, i64 %place, i64 %child
  store i64 %next, ptr %place_w
  %w1 = add i64 %w, 1
  %w_more = icmp ult i64 %w1, TREES
  br i1 %w_more, label %step, label %look
add:
  %l = phi i64 [ 0, %asked_all ], [ %l1, %add ]
  %sum_l = phi double [ %sum, %asked_all ], [ %sum1, %add ]
  %place_l = getelementptr i64, ptr %places, i64 %l
  %leaf = load i64, ptr %place_l
  %number = xor i64 %leaf, -1
  %leaf_at = getelementptr double, ptr %leaves, i64 %number
  %found = load double, ptr %leaf_at
  %tl = add i64 %t, %l
  %counts = icmp slt i64 %tl, %end
  %part = select i1 %counts, double %found, double 0.0
  %sum1 = fadd double %sum_l, %part
  %l1 = add i64 %l, 1
  %l_more = icmp ult i64 %l1, TREES
  br i1 %l_more, label %add, label %some_done
some_done:
  %t1 = add i64 %t, TREES
  %more_trees = icmp slt i64 %t1, %end
  br i1 %more_trees, label %some, label %done
done:
  %into = getelementptr double, ptr %values, i64 %f
  store double %sum1, ptr %into
  %f1 = add i64 %f, 1
  %more = icmp slt i64 %f1, %functions
  br i1 %more, label %function, label %over
over:
  ret void
}
