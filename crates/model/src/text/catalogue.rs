//! The catalogue: every sentence that the engine or the edge can say, in both languages. One part per area.

use super::Entry;

macro_rules! part {
    ($name:ident, $doc:literal: $($id:literal => $en:literal, $zh:literal;)*) => {
        #[doc = $doc]
        const $name: &[Entry] = &[$(Entry { id: $id, en: $en, zh: $zh }),*];
    };
}

/// All parts.
pub const CATALOGUE: &[&[Entry]] = &[GENERAL, CHANGE, ALERT, INCIDENT, ORDER, STEP, VERB, HELP, OVERVIEW, CHAT, SELF, BACKTEST];

part!(GENERAL, "Of no area.":
    "plain" => "{text}", "{text}";
);

part!(CHANGE, "What was altered.":
    "change.release" => "Release {order}: {service} {from} to {to}", "发布 {order}：{service} {from} 到 {to}";
    "change.rollback" => "Rolled back {order}: {service} to {to}", "回滚 {order}：{service} 到 {to}";
    "change.config" => "flyball's configuration was reloaded: {count} differences", "flyball 配置已重新加载：{count} 处不同";
    "change.reboot" => "{host} was rebooted", "{host} 重启过";
    "change.package" => "{host}: package {package} {action} {version}", "{host}：软件包 {package} {action} {version}";
    "change.file" => "{host}: {path} changed", "{host}：{path} 有变化";
    "change.host_new" => "Host {host} joined", "主机 {host} 加入";
    "change.restart" => "{service} was restarted on {hosts}", "{service} 在 {hosts} 上重启";
    "change.clock" => "The server's clock was set {direction} by {by}", "服务器时钟被{direction} {by}";
);

part!(ALERT, "States of alerts.":
    "alert.bad" => "{rule} is bad: {value}", "{rule} 异常：{value}";
    "alert.ok" => "{rule} is ok", "{rule} 正常";
    "alert.no_data" => "{rule} has no data", "{rule} 无数据";
    "alert.source_down" => "{rule}: source down", "{rule}：数据源失联";
    "alert.too_many" => "{rule} has {count} alerts, {limit} are kept", "{rule} 有 {count} 条告警，保留 {limit} 条";
    "alert.heartbeat_late" => "{heartbeat} is late by {late}", "{heartbeat} 迟到 {late}";
    "alert.heartbeat_failed" => "{heartbeat} failed with exit code {code}", "{heartbeat} 失败，退出码 {code}";
);

part!(INCIDENT, "Incidents and their story.":
    "incident.opened" => "Incident {number} opened, {suspects} suspects", "故障 {number} 已打开，{suspects} 个嫌疑变更";
    "incident.title_rule" => "{service}: {summary}", "{service}：{summary}";
    "incident.recovered" => "Recovered after {after}", "{after} 后恢复";
    "incident.bad_again" => "Bad again", "再次异常";
    "incident.acknowledged" => "{person} acknowledged", "{person} 已认领";
    "incident.resolved" => "{person} resolved it", "{person} 已解决";
    "incident.reopened" => "Opened again", "重开";
    "incident.note" => "{person}: {note}", "{person}：{note}";
    "incident.reassigned" => "{person} gave it to {to}", "{person} 转派给 {to}";
    "incident.told" => "{receiver} was told", "已通知 {receiver}";
    "incident.not_told" => "{receiver} could not be told: {why}", "未能通知 {receiver}：{why}";
    "suspect.same_service" => "same service", "同一服务";
    "suspect.same_host" => "same host {host}", "同一主机 {host}";
    "suspect.dependency" => "dependency {service}", "依赖 {service}";
    "suspect.depends_on_it" => "in front of it", "在它之前";
    "suspect.flyball_config" => "flyball's own configuration", "flyball 自身配置";
    "suspect.before" => "{before} before the onset", "起点前 {before}";
    "suspect.running" => "was being rolled out at the onset", "起点时正在铺开";
    "suspect.new_against_old" => "new {new}, old {old}", "新 {new}，旧 {old}";
    "incident.state_changed" => "{rule}: {from} to {to}", "{rule}：{from} 到 {to}";
    "incident.flapping" => "{rule} is flapping: told {count} times within the hour, silent until it calms down", "{rule} 抖动：一小时内已通知 {count} 次，平稳前不再通知";
    "incident.joined" => "{rule} is bad too: {summary}", "{rule} 也异常：{summary}";
    "incident.priority" => "Priority {from} to {to}", "优先级 {from} 到 {to}";
    "incident.triggered" => "{person} opened it", "{person} 手动打开";
    "incident.order_ended" => "Order {order}: {state}", "发布单 {order}：{state}";
    "suspect.other_environment" => "another environment: {environment}", "另一环境：{environment}";
    "suspect.balancer" => "load balancer {balancer} in front of it", "前面的负载均衡 {balancer}";
    "suspect.nowhere" => "no place named", "未说明位置";
    "suspect.came_late" => "reported {late} after it was made", "发生 {late} 后才上报";
    "suspect.no_difference" => "no difference: new {new}, old {old}", "无差别：新 {new}，旧 {old}";
    "suspect.outlived_undo" => "goes on {after} after the undo", "回滚 {after} 后仍在继续";
    "suspect.ends_with_undo" => "ended with the undo", "随回滚结束";
);

part!(ORDER, "Release orders.":
    "order.created" => "{person} made order {order}: {service} {from} to {to} in {environment}", "{person} 建发布单 {order}：{environment} 的 {service} {from} 到 {to}";
    "order.approved" => "{person} approved plan {digest}", "{person} 批准计划 {digest}";
    "order.started" => "Release {order} starts: {service} {from} to {to}", "发布 {order} 开始：{service} {from} 到 {to}";
    "order.restart_started" => "Restart {order} starts: {service} stays at {to}", "重启 {order} 开始：{service} 版本保持 {to}";
    "order.waits_for_order" => "{order} waits until order {behind} has ended", "{order} 等待发布单 {behind} 结束";
    "order.waits_for_approval" => "{order} needs approval by someone other than {author}", "{order} 需要 {author} 以外的人批准";
    "order.batch_starts" => "Batch {batch} of {batches} starts: {hosts}", "第 {batch}/{batches} 批开始：{hosts}";
    "order.batch_in" => "{done} of {all} on {to} and in the load balancer", "{done}/{all} 已是 {to} 并在负载均衡中";
    "order.gate_passed" => "Batch {batch} well after {seconds} s", "第 {batch} 批 {seconds} 秒后正常";
    "order.halted" => "Halted: {because}", "已中止：{because}";
    "order.resumed" => "{person} resumed it", "{person} 继续";
    "order.going_on" => "flyball restarted and is going on with step {step} of {steps}", "flyball 重启过，从第 {step}/{steps} 步继续";
    "order.rolling_back" => "Rolling back {count} servers to {to}", "回滚 {count} 台到 {to}";
    "order.rolled_back" => "Rolled back: {count} of {count} on {to}, all in the load balancer", "已回滚：{count}/{count} 是 {to}，都在负载均衡中";
    "order.done" => "Done: {count} servers on {to}", "完成：{count} 台是 {to}";
    "order.failed" => "Failed: {because}. Hosts left as they are: {hosts}", "失败：{because}。保持现状的主机：{hosts}";
    "order.brake" => "{person} stops it after batch {batch}", "{person} 要求在第 {batch} 批后停止";
    "order.retried" => "{person} asks the failed step again", "{person} 重试失败的步骤";
    "order.goes_on" => "Everything answers again: goes on by itself", "全部恢复响应：自动继续";
    "order.planned_anew" => "What is on the hosts changed: planned anew, digest {digest}", "主机现状有变：已重新计划，摘要 {digest}";
    "order.no_steps" => "{host} has {version} already: no steps", "{host} 已是 {version}：无步骤";
    "order.waits_for_room" => "{host} waits: {min} servers must stay in service", "{host} 等待：须保持 {min} 台在服务中";
    "order.host_lost" => "{host}: source down, step {step} unknown, asked again when it answers", "{host}：失联，步骤 {step} 未知，恢复后再问";
    "order.asked_again" => "{host} answers again: asked {step} again", "{host} 恢复响应：再次询问 {step}";
    "order.undo_failed" => "{host}: taking back {step} failed, try {try} of {tries}: {why}", "{host}：回滚 {step} 失败，第 {try}/{tries} 次：{why}";
    "order.taken_back_by" => "{person} takes it back", "{person} 要求回滚";
    "order.cancelled" => "{person} cancelled it", "{person} 取消";
    "because.judge" => "new gave {new_bad} bad answers of {new_all} ({new_share}), old {old_bad} of {old_all} ({old_share})", "新版异常响应 {new_bad}/{new_all}（{new_share}），旧版 {old_bad}/{old_all}（{old_share}）";
    "because.rule" => "rule {rule} is bad: {value}", "规则 {rule} 异常：{value}";
    "because.person" => "{person} halted it", "{person} 中止";
    "because.brake" => "stopped after batch {batch} as asked", "按要求在第 {batch} 批后停止";
    "because.no_data" => "rule {rule} has no data", "规则 {rule} 无数据";
    "because.step_failed" => "{host} failed at {step}: {why}", "{host} 在 {step} 失败：{why}";
    "because.step_silent" => "{host} did not answer the step {step} for {limit}", "{host} 在 {limit} 内未回应步骤 {step}";
    "because.host_lost" => "{host} disappeared at {step}", "{host} 在 {step} 时失联";
    "because.balancer_gone" => "load balancer {balancer} does not answer", "负载均衡 {balancer} 无响应";
    "because.restart" => "flyball restarted and the gate is not well", "flyball 重启过且关卡不正常";
    "because.undo_failed" => "the rollback failed at {host}: {why}", "{host} 回滚失败：{why}";
);

part!(STEP, "Steps as people read them.":
    "step.fetch" => "fetch {digest}", "取制品 {digest}";
    "step.unpack" => "unpack {version}", "解包 {version}";
    "step.balancer_out" => "out of the load balancer", "移出负载均衡";
    "step.drain" => "drain", "排空";
    "step.stop" => "stop {service}", "停止 {service}";
    "step.switch" => "switch to {version}", "切换到 {version}";
    "step.start" => "start {service}", "启动 {service}";
    "step.verify" => "see {version} answer", "确认 {version} 应答";
    "step.balancer_in" => "into the load balancer", "加入负载均衡";
    "step.gate" => "watch for {seconds} s", "观察 {seconds} 秒";
    "step.restart" => "restart {service}", "重启 {service}";
);

part!(VERB, "Answers of verbs.":
    "verb.accepted" => "Accepted", "已接受";
    "verb.unknown_thing" => "No {kind} is called {name}. Nearest: {nearest}", "没有名为 {name} 的{kind}。最接近：{nearest}";
    "verb.unknown_verb" => "{verb} is not a verb. Nearest: {nearest}. Try: help", "{verb} 不是命令。最接近：{nearest}。试试：help";
    "verb.usage" => "Write it like: {usage}", "写法：{usage}";
    "verb.not_allowed" => "Needs {right} on {where}", "需要 {where} 的 {right} 权限";
    "verb.final" => "Order {order} has ended: {state}", "发布单 {order} 已结束：{state}";
    "verb.own_approval" => "Needs approval by someone other than {author}", "需要 {author} 以外的人批准";
    "verb.wrong_state" => "Order {order} is {state}: {verb} can't be done now", "发布单 {order} 处于{state}：现在不能{verb}";
    "verb.stale_plan" => "The plan changed: the digest is {digest} now", "计划已变：现在摘要是 {digest}";
    "verb.no_run" => "{service} has no `run` in its configuration: flyball can't start it", "{service} 的配置没有 `run`：flyball 无法启动它";
    "verb.min_in_service" => "{min} of {servers} servers must stay in service: none can be taken out", "{servers} 台中须保持 {min} 台在服务中：无法移出任何一台";
    "verb.on_line_already" => "{version} is on line on every server of {service} in {environment}", "{environment} 的 {service} 每台都已是 {version}";
    "verb.nothing_on_line" => "Nothing is on line on the servers of {service} in {environment}", "{environment} 的 {service} 服务器上没有在线的发布";
    "verb.newer_order" => "Order {newer} came after {order} there: roll that one back", "发布单 {newer} 在 {order} 之后：请回滚它";
    "verb.no_undo" => "Order {order} restarted what was there: there is nothing to take back", "发布单 {order} 只是重启：没有可回滚的内容";
    "verb.retry_first" => "A step of {order} failed: retry it, or roll back", "{order} 有步骤失败：请重试或回滚";
    "verb.no_host" => "{service} has no server in {environment}", "{service} 在 {environment} 没有服务器";
    "verb.unknown_artifact" => "No artifact {artifact} was pushed", "没有推送过制品 {artifact}";
    "verb.incident_state" => "Incident {incident} is {state}: {verb} can't be done now", "故障 {incident} 处于{state}：现在不能{verb}";
    "verb.too_long" => "{what} has {len} bytes, {limit} at most", "{what} 有 {len} 字节，最多 {limit}";
    "verb.empty" => "{what} is empty", "{what}为空";
    "verb.incident_done" => "{incident}: {done}", "{incident}：{done}";
    "verb.said" => "Said in {room}", "已在 {room} 发言";
    "verb.already" => "Already {state}", "已经{state}";
    "verb.confirm" => "Confirm within 60 s: {what}", "请在 60 秒内确认：{what}";
    "verb.servers" => "{service} in {environment}: {up} of {of} up, wanted {wanted}", "{environment} 的 {service}：{up}/{of} 正常，期望 {wanted}";
    "verb.places" => "{service}: {up} of {of} up in {count} environments", "{service}：{count} 个环境中 {up}/{of} 正常";
    "verb.host_up" => "{host} reports since {since}", "{host} 自 {since} 起在上报";
    "verb.host_down" => "{host}: source down since {since}", "{host}：自 {since} 起失联";
    "verb.host_new" => "{host} has never reported", "{host} 从未上报";
    "verb.lines" => "{count} lines of {what}", "{what} 的 {count} 行";
    "verb.drawn" => "{what}, the last {back}", "{what}，最近 {back}";
    "verb.no_series" => "No data for {what} in the last {back}", "{what} 最近 {back} 无数据";
    "verb.incident_one" => "1 incident", "1 个故障";
    "verb.incidents" => "{count} incidents", "{count} 个故障";
    "verb.order_one" => "1 release order", "1 个发布单";
    "verb.orders" => "{count} release orders", "{count} 个发布单";
    "verb.change_one" => "1 change", "1 个变更";
    "verb.changes" => "{count} changes", "{count} 个变更";
    "verb.verbs" => "{count} verbs", "{count} 个命令";
    "verb.would" => "Nothing was done. It would be: {what}", "未执行。将会：{what}";
    "verb.still_going" => "Order {order} is {state} after {seconds} s", "{seconds} 秒后发布单 {order} 为{state}";
    "confirm.deploy" => "{service} in {environment}: {count} servers go from {from} to {to} in {batches} batches, never fewer than {min} of {of} in service", "{environment} 的 {service}：{count} 台从 {from} 到 {to}，分 {batches} 批，服务中不少于 {min}/{of} 台";
    "confirm.restart" => "{service} in {environment}: {count} servers are restarted in {batches} batches, never fewer than {min} of {of} in service", "{environment} 的 {service}：重启 {count} 台，分 {batches} 批，服务中不少于 {min}/{of} 台";
    "confirm.rollback" => "{service} in {environment}: {count} servers go from {from} back to {to}, order {order}", "{environment} 的 {service}：{count} 台从 {from} 回到 {to}，发布单 {order}";
    "confirm.approve" => "Approve plan {digest} of order {order}: {service} to {to} on {count} servers", "批准发布单 {order} 的计划 {digest}：{service} 到 {to}，{count} 台";
    "verb.looking" => "Looking at {what}", "正在查看 {what}";
);

part!(CHAT, "What the bot says in a room.":
    "chat.alert" => "{rule} is bad: {summary}", "{rule} 异常：{summary}";
    "chat.calls_author" => "{author}: your release {order} is the first suspect of {incident}", "{author}：你的发布 {order} 是 {incident} 的首要嫌疑";
    "chat.calls_author_of_change" => "{author}: your change is the first suspect of {incident}: {what}", "{author}：你的变更是 {incident} 的首要嫌疑：{what}";
    "chat.incident" => "{incident} {priority}: {title}", "{incident} {priority}：{title}";
    "chat.alert_no_data" => "{rule} has no data: {summary}", "{rule} 无数据：{summary}";
    "chat.alert_source_down" => "{rule}: source down: {summary}", "{rule}：数据源失联：{summary}";
    "chat.flapping" => "{rule} is flapping: told {count} times within the hour, silent until it calms down", "{rule} 抖动：一小时内已通知 {count} 次，平稳前不再通知";
    "chat.halted" => "Halted {service} {to}: {because}", "已中止 {service} {to}：{because}";
    "chat.rolled_back" => "{service} is back on {to}: {count} servers, {took} after the halt", "{service} 已回到 {to}：{count} 台，中止后 {took}";
    "chat.done" => "{service} {to} is on line on {count} servers", "{service} {to} 已在 {count} 台上在线";
    "chat.recovered" => "{incident} recovered after {after}", "{incident} 在 {after} 后恢复";
);

part!(SELF, "Of flyball itself.":
    "self.started" => "flyball {version} started", "flyball {version} 已启动";
    "self.service_crashed" => "{service} crashed on {host}", "{service} 在 {host} 上崩溃";
    "self.host_lost" => "{host}: source down", "{host}：失联";
    "self.host_back" => "{host} reports again", "{host} 恢复上报";
    "self.balancer_gone" => "Load balancer {balancer} does not answer", "负载均衡 {balancer} 无响应";
    "self.balancer_back" => "Load balancer {balancer} answers again", "负载均衡 {balancer} 恢复响应";
    "self.disk_full" => "The disk is full: telemetry is refused, events and pages go on", "磁盘已满：遥测被拒绝，事件和呼叫继续";
);

part!(HELP, "What each verb does.":
    "help.check" => "Looks at each server of a service, or at a host, and says how it is", "查看服务的每台服务器或一台主机的情况";
    "help.status" => "Says how things are, or how one service is", "说明整体或一个服务的情况";
    "help.deploy" => "Makes a release order and rolls it out", "建发布单并铺开";
    "help.rollback" => "Takes back exactly what an order touched", "撤回一个发布单改动的一切";
    "help.halt" => "Stops a release now", "立即中止发布";
    "help.brake" => "Stops a release after this batch", "本批之后停下发布";
    "help.resume" => "Goes on with a halted release", "继续已中止的发布";
    "help.retry" => "Does the failed step again, then goes on", "重做失败的步骤再继续";
    "help.approve" => "Approves somebody else's plan by its digest", "按摘要批准他人的计划";
    "help.cancel" => "Ends an order before it began", "在开始前取消发布单";
    "help.restart" => "Restarts a service, server by server", "逐台重启服务";
    "help.log" => "Shows the last lines of a service, a host or an order", "显示服务、主机或发布单的最近日志";
    "help.graph" => "Draws a graph", "画图";
    "help.ack" => "Says: I have this incident", "认领故障";
    "help.resolve" => "Says: this incident is over", "解决故障";
    "help.note" => "Writes into an incident's story", "为故障写备注";
    "help.reassign" => "Gives an incident to somebody else", "把故障转派他人";
    "help.incidents" => "Lists incidents", "列出故障";
    "help.orders" => "Lists release orders", "列出发布单";
    "help.changes" => "Lists what was changed, newest first", "列出变更，最新在前";
    "help.help" => "Shows the verbs", "显示命令";
);

part!(OVERVIEW, "The sentence that says how things are.":
    "overview.well" => "Nothing hurts now.", "现在一切正常。";
    "overview.well_figures" => "{hosts} hosts report, looked at {at}", "{hosts} 台主机在上报，{at} 查看";
    "overview.taken_back" => "Nothing hurts now. A bad release of {service} was halted and taken back by itself.", "现在一切正常。{service} 的一次有问题的发布已自动中止并回滚。";
    "overview.hurts" => "{what} hurts since {since}.", "{what} 自 {since} 起异常。";
    "overview.suspect" => "First suspect: release {order}", "首要嫌疑：发布 {order}";
    "overview.no_suspect" => "No suspect among {count} changes", "{count} 个变更中没有嫌疑";
    "overview.rolling_back" => "Release {order} is being rolled back, {done} of {of}", "发布 {order} 回滚中，{done}/{of}";
    "overview.halted" => "The release of {service} {to} is halted and waits for a person.", "{service} {to} 的发布已中止，等待处理。";
    "overview.going_back" => "The release of {service} {to} is being rolled back.", "{service} {to} 的发布回滚中。";
    "overview.rolling" => "{service} {to} rolls out, all is well.", "{service} {to} 正在铺开，一切正常。";
    "overview.rolling_first" => "{service} {to} rolls out, no server is in service yet.", "{service} {to} 正在铺开，还没有服务器在服务中。";
    "overview.rolling_none" => "{service} {to} rolls out, no server of it is in service since {since}.", "{service} {to} 正在铺开，自 {since} 起没有服务器在服务中。";
    "overview.lost" => "{what}: no host of it answers since {since}.", "{what}：自 {since} 起所有主机失联。";
    "overview.none_in" => "None of {of} servers is in service", "{of} 台服务器都不在服务中";
    "overview.progress" => "{done} of {of} servers", "{done}/{of} 台";
    "waiting.acknowledge" => "{number} to acknowledge", "{number} 待认领";
    "waiting.resolve" => "{number} to resolve", "{number} 待解决";
    "waiting.heartbeat" => "{heartbeat} is late", "{heartbeat} 迟到";
    "waiting.approve" => "order {order} to approve", "发布单 {order} 待批准";
    "waiting.halted" => "order {order} is halted", "发布单 {order} 已中止";
);

part!(BACKTEST, "What a back-test of rules says.":
    "backtest.exact" => "{from} to {to}: exactly what live rules told", "{from} 到 {to}：与实时规则所报完全一致";
    "backtest.exact_from" => "{from} to {to}: exactly what live rules told from {exact} on; before, as if each sample had come at its own time", "{from} 到 {to}：自 {exact} 起与实时规则所报完全一致；此前按每个样本都在自己的时刻到达计算";
    "backtest.history" => "{from} to {to}: as if each sample had come at its own time; the kept log does not reach back far enough to be exact", "{from} 到 {to}：按每个样本都在自己的时刻到达计算；保留的日志不够早，无法精确";
    "backtest.samples" => "Samples read of these rules' series: {samples}, of them late: {late}", "读取这些规则所用序列的样本：{samples}，其中迟到：{late}";
    "backtest.no_samples" => "Nothing to read: in this time no series of these rules has a sample", "没有可读的数据：这段时间内这些规则所用的序列没有样本";
    "backtest.recorded" => "{rule} recorded samples: {count}", "{rule} 记录的样本：{count}";
    "backtest.failed" => "{rule}: failed to evaluate: {why}", "{rule}：求值失败：{why}";
    "backtest.still_bad" => "still bad", "仍异常";
    "backtest.never_bad" => "None of these rules would have told anything", "这些规则都不会报警";
);
