flow.record_decl @Pair ["left", "größe"] [!flow.str, !flow.list<!flow.int>]
flow.enum_decl @Verdict ["yes", "no"]
agent.tool @search(q: !flow.str, k: !flow.int = 8) -> !flow.str effects<reads "web", writes "mail" idempotent undo "unsend"> limits<timeout = 3.0, retries = 2> settings {"module" = "tools.py", "cached" = true}
agent.llm @answer(q: !flow.str labels ["secret"]) -> !flow.str effects<llm>
agent.human @approve(q: !flow.str) -> i1 effects<human>
agent.event @paid(q: !flow.str) -> i1 effects<human>
array.kernel @twice(%x: f32 {array.name = "x"}) -> f32 {
  array.return %x : f32
}
flow.func @other(q %q: !flow.str) -> !flow.str effects<> {
  flow.return %q : !flow.str
}
flow.func @main(q %q: !flow.str, "größe" %k: !flow.int = 8, v %v: f32 = none) -> !flow.str effects<llm> limits<money = 0.02> doc "says \22é\22\0A" attributes {parallel} {
  %kept = flow.transaction -> (!flow.str) {
    %room = agent.tool_call @book(%q) effects<writes "mail" undo "cancel"> : (!flow.str) -> !flow.str
    %soon = flow.constant 0.5 : f64
    %slept = agent.sleep(%soon) effects<sleep> : (f64) -> !flow.none
    flow.yield %room : !flow.str
  }
  %c = flow.constant "a\0Aé" : !flow.str loc("f.flow":3:4)
  %d = flow.constant [1, 2.5, {"x" = none, "y z" = true}, 1.0e+22, -3, ""] {labels = ["secret"]} : !flow.json
  %b = flow.constant true : i1
  %nothing = flow.absent : !flow.str
  %sum = flow.apply "add"(%k, %k) : (!flow.int, !flow.int) -> !flow.int
  %text = flow.field "x"(%d) : (!flow.json) -> !flow.json
  %xs = flow.list(%q, %c) : (!flow.str, !flow.str) -> !flow.list<!flow.str>
  %ks = flow.list(%k) : (!flow.int) -> !flow.list<!flow.int>
  %r = flow.record(%q, %ks) : (!flow.str, !flow.list<!flow.int>) -> !flow.record_of<"Pair">
  %dict = flow.dict(%q, %k) : (!flow.str, !flow.int) -> !flow.dict<!flow.int>
  %both = flow.tuple(%q, %k) : (!flow.str, !flow.int) -> !flow.tuple<[!flow.str, !flow.int]>
  %first = flow.item 0(%both) : (!flow.tuple<[!flow.str, !flow.int]>) -> !flow.str
  %maybe = flow.cast(%q) : (!flow.str) -> !flow.optional<!flow.str>
  %chosen = flow.select(%b, %q, %c) : (i1, !flow.str, !flow.str) -> !flow.str
  %safe = flow.endorse <"checked by hand é\0A">(%q) : (!flow.str) -> !flow.str
  %known = flow.declassify <"published">(%q) : (!flow.str) -> !flow.str
  %t = agent.tool_call @search(%q, %k) effects<reads "web", writes "mail"> : (!flow.str, !flow.int) -> !flow.str
  %p = agent.prompt <["Say é\0A", {"hole" = "q"}]>(%q) : (!flow.str) -> !agent.prompt_value
  %g = agent.generate @answer(%p, %q) effects<llm> : (!agent.prompt_value, !flow.str) -> !flow.str
  %y = agent.ask @approve(%p, %q) effects<human> : (!agent.prompt_value, !flow.str) -> i1
  %e = agent.embed(%xs) effects<llm> : (!flow.list<!flow.str>) -> tensor<?x?xf32, #array.dims<["", ""]>>
  %z = flow.call @other(%q) effects<> : (!flow.str) -> !flow.str
  %w = array.launch @twice(%v) : (f32) -> f32
  %plan = flow.cast(%d) : (!flow.json) -> !flow.plan<["search"]>
  %steps = agent.execute(%plan) effects<reads "web"> : (!flow.plan<["search"]>) -> !flow.list<!flow.json>
  %i = flow.if(%b) : (i1) -> !flow.str {
    flow.yield %q : !flow.str
  } else {
    flow.yield %t : !flow.str
  }
  %n, %m = flow.for(%xs, %k, %q) : (!flow.list<!flow.str>, !flow.int, !flow.str) -> (!flow.int, !flow.str) {
  ^bb0(%x: !flow.str, %k2: !flow.int, %q2: !flow.str):
    flow.yield %b, %k2, %x : i1, !flow.int, !flow.str
  }
  %u = flow.while(%k, %q) : (!flow.int, !flow.str) -> !flow.str {
  ^bb0(%q3: !flow.str):
    flow.yield %b : i1
  } do {
  ^bb0(%q4: !flow.str):
    flow.yield %b, %q4 : i1, !flow.str
  }
  %mapped = flow.map width 64 filtered(%xs) : (!flow.list<!flow.str>) -> !flow.list<!flow.str> {
  ^bb0(%x2: !flow.str):
    flow.yield %b, %x2 : i1, !flow.str
  }
  %asked = agent.generate_batch width 64(%xs) : (!flow.list<!flow.str>) -> !flow.list<!flow.str> {
  ^bb0(%x3: !flow.str):
    %p3 = agent.prompt <["say ", {"hole" = "q"}]>(%x3) : (!flow.str) -> !agent.prompt_value
    %g3 = agent.generate @answer(%p3, %x3) effects<llm> {prefix = 1 : i64} : (!agent.prompt_value, !flow.str) -> !flow.str
    flow.yield %g3 : !flow.str
  }
  %race = flow.race -> (!flow.str) {
    flow.yield %q : !flow.str
  } {
    flow.yield %t : !flow.str
  }
  %vote = flow.vote max 7 lead 3 -> (!flow.str) {
  ^bb0(%ballot: !flow.int):
    flow.yield %g : !flow.str
  }
  %try = flow.attempt -> (!flow.str) {
    flow.yield %q : !flow.str
  } else {
    flow.yield %c : !flow.str
  }
  flow.limit <timeout = 3.0> -> () {
    flow.yield
  }
  %started = flow.speculate <[1]>(%q) effects<llm> : (!flow.str) -> !flow.started
  %early = flow.if(%b, %started) : (i1, !flow.started) -> !flow.str {
    %p2 = agent.prompt <["say ", {"hole" = "q"}]>(%q) : (!flow.str) -> !agent.prompt_value
    %g2 = agent.generate @answer(%p2, %q) effects<llm> {early} : (!agent.prompt_value, !flow.str) -> !flow.str
    flow.yield %g2 : !flow.str
  } else {
    flow.yield %q : !flow.str
  }
  flow.return %g : !flow.str
}
plan.func @plan(q %q: !flow.str) -> !flow.str effects<> {
  %c = plan.constant <"x"> : !flow.str
  %a, %done = plan.task "tool" "search" settings <{"operation" = "search"}> rank 3.5 cost 1.0(%q, %c) : (!flow.str, !flow.str) -> (!flow.str, !plan.token)
  %b = plan.task "tool" "search"(%q, %done) : (!flow.str, !plan.token) -> !flow.str
  %k = plan.kernel "kernel" "twice" settings <{"kernel" = "twice"}>(%q) : (!flow.str) -> !flow.str
  %m = plan.fork "map" "map" settings <{"width" = 3}>(%q) : (!flow.str) -> !flow.str {
  ^bb0(%x: !flow.str):
    plan.yield %x : !flow.str
  }
  %l = plan.scope "limit" "limit" settings <{"timeout" = 3.0}>() : () -> !flow.str {
    plan.yield %q : !flow.str
  }
  plan.yield %m : !flow.str
}
