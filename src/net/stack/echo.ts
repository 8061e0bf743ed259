/** Answers to ping. @spec RFC 792, "Echo or Echo Reply Message"; RFC 1122 §3.2.2.6 (requests to all hosts need no answer) */
import { makeIcmp, parseIcmp } from "../wire/icmp.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import type { Ipv4Host } from "./ipv4-host.ts";

export function answerEchoRequests(host: Ipv4Host): void {
  host.handle(IP_PROTOCOL.icmp, ({ source, isForAll, payload }) => {
    const message = parseIcmp(payload);
    if (message?.kind !== "echo-request" || isForAll) return;
    const reply = makeIcmp({ ...message, kind: "echo-reply" });
    host.send({ destination: source, protocol: IP_PROTOCOL.icmp, payload: reply });
  });
}
