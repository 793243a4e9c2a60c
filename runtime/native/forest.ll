; Forests of regression trees.
;
;   void flowc_forest(double *row, node *nodes, double *leaves, long *roots, long *ends, long functions,
;                     double *values)
;
; For each function the sum of its trees at a row of features: those of the first have the roots up to ends[0].
; A node sends a row whose feature is at most its threshold to its first child, else to its second. A root or a
; child below zero is a leaf, the complement of its number.

%node = type { double, i32, [2 x i32] }                      ; threshold, feature, children

define void @flowc_forest(ptr %row, ptr %nodes, ptr %leaves, ptr %roots, ptr %ends, i64 %functions,
                          ptr %values) nounwind {
entry:
  br label %function
function:
  %f = phi i64 [ 0, %entry ], [ %f1, %done ]
  %first = phi i64 [ 0, %entry ], [ %end, %done ]
  %end_at = getelementptr i64, ptr %ends, i64 %f
  %end = load i64, ptr %end_at
  br label %tree
tree:
  %t = phi i64 [ %first, %function ], [ %t1, %leaf ]
  %sum = phi double [ 0.0, %function ], [ %sum1, %leaf ]
  %root_at = getelementptr i64, ptr %roots, i64 %t
  %root = load i64, ptr %root_at
  br label %look
look:
  %place = phi i64 [ %root, %tree ], [ %child, %walk ]
  %is_leaf = icmp slt i64 %place, 0
  br i1 %is_leaf, label %leaf, label %walk
walk:
  %threshold_at = getelementptr %node, ptr %nodes, i64 %place, i32 0
  %feature_at = getelementptr %node, ptr %nodes, i64 %place, i32 1
  %threshold = load double, ptr %threshold_at
  %feature = load i32, ptr %feature_at
  %value_at = getelementptr double, ptr %row, i32 %feature
  %value = load double, ptr %value_at
  %right = fcmp ogt double %value, %threshold
  %which = zext i1 %right to i64
  %child_at = getelementptr %node, ptr %nodes, i64 %place, i32 2, i64 %which
  %child32 = load i32, ptr %child_at
  %child = sext i32 %child32 to i64
  br label %look
leaf:
  %number = xor i64 %place, -1
  %leaf_at = getelementptr double, ptr %leaves, i64 %number
  %found = load double, ptr %leaf_at
  %sum1 = fadd double %sum, %found
  %t1 = add i64 %t, 1
  %more_trees = icmp slt i64 %t1, %end
  br i1 %more_trees, label %tree, label %done
done:
  %into = getelementptr double, ptr %values, i64 %f
  store double %sum1, ptr %into
  %f1 = add i64 %f, 1
  %more = icmp slt i64 %f1, %functions
  br i1 %more, label %function, label %ended
ended:
  ret void
}
