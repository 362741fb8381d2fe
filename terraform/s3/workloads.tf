# An IAM role for each workload, which its service account alone can assume: by IAM roles
# for service accounts, by EKS Pod Identity, or by both, say while moving from one to the
# other.

resource "aws_iam_role" "workload" {
  for_each = var.workloads
  name     = "${var.bucket}-${each.key}"
  tags     = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      var.irsa == null ? [] : [
        {
          Sid       = "IRSA"
          Effect    = "Allow"
          Principal = { Federated = var.irsa.provider_arn }
          Action    = ["sts:AssumeRoleWithWebIdentity"]
          Condition = {
            StringEquals = {
              "${var.irsa.issuer}:aud" = "sts.amazonaws.com"
              "${var.irsa.issuer}:sub" = "system:serviceaccount:${each.value.namespace}:${each.value.service_account}"
            }
          }
        },
      ],
      var.pod_identity_cluster == null ? [] : [
        {
          Sid       = "PodIdentity"
          Effect    = "Allow"
          Principal = { Service = "pods.eks.amazonaws.com" }
          Action    = ["sts:AssumeRole", "sts:TagSession"]
          Condition = {
            StringEquals = {
              "aws:RequestTag/kubernetes-namespace"       = each.value.namespace
              "aws:RequestTag/kubernetes-service-account" = each.value.service_account
              "aws:RequestTag/eks-cluster-name"           = var.pod_identity_cluster
            }
          }
        },
      ],
    )
  })
}

resource "aws_iam_role_policy_attachment" "workload" {
  for_each   = var.workloads
  role       = aws_iam_role.workload[each.key].name
  policy_arn = aws_iam_policy.role["${each.value.cell}/${each.value.role}"].arn
}

resource "aws_eks_pod_identity_association" "workload" {
  for_each        = var.pod_identity_cluster == null ? {} : var.workloads
  cluster_name    = var.pod_identity_cluster
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.workload[each.key].arn
  tags            = var.tags
}
