/**
 * The Chinese texts about PostgreSQL and the replicas that share it.
 */
import type { replicaTexts as english } from "./replicas_en.ts";

export const replicaTexts: typeof english = {
  replicasTitle: "PostgreSQL",
  replicasState: "状态",
  replicasUp: "使用中",
  replicasDown: "无法使用：请求照常，记录等待写入",
  replicasWaiting: "此处等待",
  replicasRecords: (count) => `${count} 条记录`,
  replicasRejected: "被拒绝",
  replicasOldest: (seconds) => `最早的已等待 ${seconds} 秒`,
  replicaListens: "副本",
  replicaVersion: "版本",
  replicaSeen: "最近信号",
  replicaSecondsAgo: (seconds) => `${seconds} 秒前`,
  replicaWaiting: "等待的记录",
  replicaHere: "本机",
  replicasUnknown: "现在无法读取有哪些副本。",
};
