/**
 * The English texts about PostgreSQL and the replicas that share it.
 */
export const replicaTexts = {
  replicasTitle: "PostgreSQL",
  replicasState: "State",
  replicasUp: "in use",
  replicasDown: "cannot be used: requests go on, records wait",
  replicasWaiting: "Wait here",
  replicasRecords: (count: number) => count === 1 ? "1 record" : `${count} records`,
  replicasRejected: "Refused",
  replicasOldest: (seconds: number) => `the oldest for ${seconds} s`,
  replicaListens: "Replica",
  replicaVersion: "Version",
  replicaSeen: "Last sign",
  replicaSecondsAgo: (seconds: number) => `${seconds} s ago`,
  replicaWaiting: "Records waiting",
  replicaHere: "this one",
  replicasUnknown: "Which replicas there are cannot be read now.",
};
