package manifests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// The pods meet the restricted standard, by the library that enforces it.
func TestPodSecurityIsRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	each(t, func(t *testing.T, r *rendered) {
		for component, pod := range r.templates() {
			if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
				t.Errorf("%s: %s: %s", component, result.ForbiddenReason(), result.ForbiddenDetail())
			}
			container := pod.Spec.Containers[0]
			if s := container.SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s can write to its own files", component)
			}
			if a := pod.Spec.AutomountServiceAccountToken; a == nil || *a {
				t.Errorf("%s gets a token of the Kubernetes API", component)
			}
			// They would set variables that begin like those of the flags.
			if e := pod.Spec.EnableServiceLinks; e == nil || *e {
				t.Errorf("%s gets variables of the Services", component)
			}
		}
	})
}

// A rollout and a drain wait for pods that are ready. So followers must get ready, and a
// budget must let one pod go, and a pod that is not ready at any time.
func TestRolloutsAndDrainsGoOn(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		for component, pod := range r.templates() {
			c := pod.Spec.Containers[0]
			for kind, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
				want := map[string]string{"store startup": "/healthz", "store liveness": "/healthz", "store readiness": "/readyz",
					"router liveness": "/healthz", "router readiness": "/healthz"}[component+" "+kind]
				switch {
				case want == "" && probe == nil:
				case probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want:
					t.Errorf("%s: the %s probe is %v, want one of %q", component, kind, probe, want)
				case !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal }):
					t.Errorf("%s: the %s probe asks at %s, which is no port", component, kind, probe.HTTPGet.Port.StrVal)
				}
			}
			// Ten seconds for the last commits, at most five for requests at the same time.
			left := *pod.Spec.TerminationGracePeriodSeconds - c.Lifecycle.PreStop.Sleep.Seconds
			if left < 20 {
				t.Errorf("%s: %d s are left to end in after preStop, want 20", component, left)
			}
		}
		if n := *r.store.Spec.Replicas; n != 3 {
			t.Errorf("%d replicas", n)
		}
		for _, b := range r.budgets {
			if b.Spec.MinAvailable != nil || b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() != 1 ||
				b.Spec.UnhealthyPodEvictionPolicy == nil || *b.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
				t.Errorf("the budget %s is %+v", b.Name, b.Spec)
			}
		}
		for _, spread := range r.store.Spec.Template.Spec.TopologySpreadConstraints {
			if spread.WhenUnsatisfiable == corev1.DoNotSchedule && (spread.NodeTaintsPolicy == nil || *spread.NodeTaintsPolicy != corev1.NodeInclusionPolicyHonor) {
				t.Errorf("%s: a node that is drained counts, and its pod can go nowhere", spread.TopologyKey)
			}
		}
	})
}

// A pod advertises a name that exists before it is ready.
func TestAdvertisedNames(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		name := r.store.Spec.ServiceName
		service := r.services[name]
		if service == nil || service.Spec.ClusterIP != corev1.ClusterIPNone || !service.Spec.PublishNotReadyAddresses {
			t.Fatalf("the Service %s of the pods' names is %+v", name, service)
		}
		scheme := variables(t, r)["ADVERTISED_SCHEME"]
		if want := map[bool]string{true: "https", false: "http"}[r.name == "tls"]; scheme != want {
			t.Errorf("the scheme is %q, want %q", scheme, want)
		}
		for _, probe := range []*corev1.Probe{store(r).StartupProbe, store(r).LivenessProbe, store(r).ReadinessProbe} {
			if got := string(probe.HTTPGet.Scheme); !strings.EqualFold(got, scheme) && (got != "" || scheme != "http") {
				t.Errorf("pods are probed by %q, and serve %s", got, scheme)
			}
		}
		want := "--advertise=$(ADVERTISED_SCHEME)://$(POD_NAME)." + name + ".$(POD_NAMESPACE).svc:8410"
		if !slices.Contains(store(r).Args, want) {
			t.Errorf("%q is not in %q", want, store(r).Args)
		}
		config := r.routerConfig(t)
		if !strings.Contains(config, ` "`+name+`.${POD_NAMESPACE}.svc.${CLUSTER_DOMAIN}:8410"`) {
			t.Errorf("the router does not look for %s", name)
		}
		if !regexp.MustCompile(`(?m)^ +http-check send meth GET uri /leaderz `).MatchString(config) {
			t.Error("the router does not ask at /leaderz")
		}
	})
}

func store(r *rendered) corev1.Container { return r.store.Spec.Template.Spec.Containers[0] }

func (r *rendered) routerConfig(t *testing.T) string {
	t.Helper()
	for _, volume := range r.router.Spec.Template.Spec.Volumes {
		if volume.ConfigMap != nil && r.configMaps[volume.ConfigMap.Name] != nil {
			return r.configMaps[volume.ConfigMap.Name].Data["haproxy.cfg"]
		}
	}
	t.Fatal("the router's configuration is missing")
	return ""
}

// variables are those of the store's container that have a plain value.
func variables(t *testing.T, r *rendered) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, from := range store(r).EnvFrom {
		if from.ConfigMapRef == nil || r.configMaps[from.ConfigMapRef.Name] == nil {
			t.Fatalf("what is %+v?", from)
		}
		for name, value := range r.configMaps[from.ConfigMapRef.Name].Data {
			all[name] = value
		}
	}
	for _, variable := range store(r).Env {
		all[variable.Name] = variable.Value
	}
	return all
}

var helpOf = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)\b.*\[\$(SCHEDULER_STORE_[A-Z_]+)\]`)

// Each flag and variable in the manifests is one of the command's, and the files that they
// name are mounted.
func TestFlagsExist(t *testing.T) {
	binary, err := filepath.Abs(root + "/bin/scheduler-store")
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(binary, "serve", "--help").Output()
	if err != nil {
		t.Fatalf("%v: run make build", err)
	}
	flags, known := map[string]bool{}, map[string]bool{}
	for _, match := range helpOf.FindAllStringSubmatch(string(help), -1) {
		flags[match[1]], known[match[2]] = true, true
	}
	if len(flags) < 20 {
		t.Fatalf("flags: %v", flags)
	}
	each(t, func(t *testing.T, r *rendered) {
		args := store(r).Args
		if args[0] != "serve" || len(store(r).Command) != 0 {
			t.Errorf("it runs %q %q", store(r).Command, args)
		}
		for _, arg := range args[1:] {
			name, value, _ := strings.Cut(arg, "=")
			if !flags[name] {
				t.Errorf("serve has no flag %s", name)
			}
			for _, variable := range regexp.MustCompile(`\$\((\w+)\)`).FindAllStringSubmatch(value, -1) {
				if _, ok := variables(t, r)[variable[1]]; !ok {
					t.Errorf("%s: there is no variable %s", arg, variable[1])
				}
			}
			if name == "--token-file" {
				r.mounted(t, value)
			}
		}
		for name, value := range variables(t, r) {
			if strings.HasPrefix(name, "SCHEDULER_STORE_") && !known[name] {
				t.Errorf("%s is the variable of no flag", name)
			}
			if strings.HasPrefix(name, "SCHEDULER_STORE_TLS_") {
				r.mounted(t, value)
			}
		}
		if url := variables(t, r)["SCHEDULER_STORE_URL"]; !regexp.MustCompile(`^(s3|gs)://[a-z0-9-]+/[a-z/]+(\?|$)`).MatchString(url) {
			t.Errorf("the store is %q", url)
		}
	})
}

// mounted makes sure that a file is in a volume that the store's container mounts.
func (r *rendered) mounted(t *testing.T, file string) {
	t.Helper()
	for _, mount := range store(r).VolumeMounts {
		for _, volume := range r.store.Spec.Template.Spec.Volumes {
			if mount.Name != volume.Name || mount.MountPath != filepath.Dir(file) || volume.Secret == nil {
				continue
			}
			named := len(volume.Secret.Items) == 0 || slices.ContainsFunc(volume.Secret.Items, func(i corev1.KeyToPath) bool { return i.Path == filepath.Base(file) })
			if named && *volume.Secret.DefaultMode == 0o440 {
				return
			}
		}
	}
	t.Errorf("nothing that is mounted holds %s", file)
}

// Go's collector knows of the memory's limit, and has some of it for itself.
func TestMemoryLimits(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		limits := store(r).Resources.Limits
		limit := limits.Memory().Value()
		text, ok := strings.CutSuffix(variables(t, r)["GOMEMLIMIT"], "MiB")
		soft, err := strconv.ParseInt(text, 10, 64)
		if part := float64(soft<<20) / float64(limit); !ok || err != nil || part < 0.8 || part > 0.95 {
			t.Errorf("GOMEMLIMIT is %s MiB of %d bytes", text, limit)
		}
		if _, limited := limits[corev1.ResourceCPU]; limited {
			t.Error("a leader that is throttled renews its lease late")
		}
		for component, pod := range r.templates() {
			if requests := pod.Spec.Containers[0].Resources.Requests; requests.Cpu().IsZero() || requests.Memory().IsZero() {
				t.Errorf("%s requests %v", component, requests)
			}
		}
	})
}

// The network lets through what the pods need: each other, names, the bucket's port, and
// clients and the router to the stores; and nobody else in.
func TestNetworkPolicies(t *testing.T) {
	each(t, func(t *testing.T, r *rendered) {
		bucket := "443"
		if port := regexp.MustCompile(`endpoint=https?://[^/:&]+:(\d+)`).FindStringSubmatch(variables(t, r)["SCHEDULER_STORE_URL"]); port != nil {
			bucket = port[1]
		}
		client := corev1.PodTemplateSpec{}
		client.Labels = map[string]string{"scheduler-store/client": "true"}
		stranger := corev1.PodTemplateSpec{}
		for _, p := range r.policies {
			if len(p.Spec.PolicyTypes) != 2 {
				t.Errorf("%s is for %v", p.Name, p.Spec.PolicyTypes)
			}
			self := p.Labels["app.kubernetes.io/component"]
			for who, want := range map[string]bool{"client": true, "router": self == "store", "store": self == "store", "stranger": false} {
				pod := map[string]corev1.PodTemplateSpec{"client": client, "stranger": stranger, "router": r.templates()["router"], "store": r.templates()["store"]}[who]
				got := false
				for _, rule := range p.Spec.Ingress {
					got = got || reaches(t, rule.From, pod) && hasPort(rule.Ports, "http")
				}
				if got != want {
					t.Errorf("%s lets in a %s: %v", p.Name, who, got)
				}
			}
			for what, want := range map[string]bool{"53": true, bucket: self == "store"} {
				got := false
				for _, rule := range p.Spec.Egress {
					got = got || len(rule.To) == 0 && hasPort(rule.Ports, what)
				}
				if got != want {
					t.Errorf("%s lets out to port %s: %v", p.Name, what, got)
				}
			}
			out := false
			for _, rule := range p.Spec.Egress {
				out = out || len(rule.To) > 0 && reaches(t, rule.To, r.templates()["store"]) && (hasPort(rule.Ports, "http") || hasPort(rule.Ports, "8410"))
			}
			if !out {
				t.Errorf("%s does not let out to the stores", p.Name)
			}
		}
	})
}

func reaches(t *testing.T, peers []networkingv1.NetworkPolicyPeer, pod corev1.PodTemplateSpec) bool {
	t.Helper()
	return slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.PodSelector != nil && selects(t, p.PodSelector, pod)
	})
}

func hasPort(ports []networkingv1.NetworkPolicyPort, want string) bool {
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.String() == want })
}

// The Secrets that somebody has to make are in the README.
func TestSecretsAreDocumented(t *testing.T) {
	readme, err := os.ReadFile(root + "/deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, r *rendered) {
		for component, pod := range r.templates() {
			text, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(`"(?:secretName|secretKeyRef":\{"name)":"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
				if !strings.Contains(string(readme), fmt.Sprintf("`%s`", match[1])) {
					t.Errorf("%s: the README does not say what is in the Secret %s", component, match[1])
				}
			}
		}
	})
}
