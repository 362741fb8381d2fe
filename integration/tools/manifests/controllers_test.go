package manifests

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/kubernetes/pkg/controller/disruption"
	"k8s.io/kubernetes/pkg/controller/statefulset"
)

const namespace = "scheduler-store"

// cluster has Kubernetes' own controllers of StatefulSets and of budgets, on a client that
// keeps the objects in memory. The test is the rest: pods run at once, and are ready as the
// readiness probe would say.
type cluster struct {
	t      *testing.T
	client *fake.Clientset
	// leaderOnly is a readiness probe at /leaderz.
	leaderOnly bool
	revision   string // before the rollout

	mu      sync.Mutex // not to be held while the client is called, which calls back
	created int
	changes int
	leader  types.UID
	ready   map[types.UID]bool
	ended   int // pods that were told to end
	leaders int // of those that were leading when they were ended
	fewest  int // pods that were ready while one had just ended
}

func newCluster(t *testing.T, r *rendered, leaderOnly bool) *cluster {
	t.Helper()
	set := r.store.DeepCopy()
	set.UID = "set"
	objects := []runtime.Object{set}
	for _, budget := range r.budgets {
		objects = append(objects, budget.DeepCopy())
	}
	c := &cluster{t: t, client: fake.NewClientset(objects...), leaderOnly: leaderOnly, ready: map[types.UID]bool{}}
	c.client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.created++
		pod := action.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
		pod.UID, pod.Status.Phase = types.UID(fmt.Sprint("pod", c.created)), corev1.PodPending
		c.changed(pod)
		return false, nil, nil
	})
	c.client.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, c.end(action.(clienttesting.DeleteAction).GetName())
	})
	factory := informers.NewSharedInformerFactory(c.client, 0)
	core, apps := factory.Core().V1(), factory.Apps().V1()
	sets := statefulset.NewStatefulSetController(t.Context(), core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(), apps.ControllerRevisions(), c.client)
	budgets := disruption.NewDisruptionController(t.Context(), core.Pods(), factory.Policy().V1().PodDisruptionBudgets(), core.ReplicationControllers(),
		apps.ReplicaSets(), apps.Deployments(), apps.StatefulSets(), c.client, nil, nil, c.client.Discovery())
	factory.Start(t.Context().Done())
	go sets.Run(t.Context(), 1)
	go budgets.Run(t.Context(), 1)
	go func() {
		for t.Context().Err() == nil {
			c.runPods()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return c
}

// changed gives a pod a new version, as the server does: controllers pass over a change
// without one. It needs the lock.
func (c *cluster) changed(pod *corev1.Pod) {
	c.changes++
	pod.ResourceVersion = fmt.Sprint(c.changes)
}

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

// end tells a pod to end. As in Kubernetes it is there until it has.
func (c *cluster) end(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	object, err := c.client.Tracker().Get(podResource, namespace, name)
	if err != nil {
		return err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	if pod.DeletionTimestamp != nil {
		return nil
	}
	now := metav1.Now()
	pod.DeletionTimestamp = &now
	c.ended++
	if pod.UID == c.leader {
		c.leaders++
	}
	delete(c.ready, pod.UID)
	ready := 0
	for _, is := range c.ready {
		if is {
			ready++
		}
	}
	c.fewest = min(c.fewest, ready)
	c.changed(pod)
	return c.client.Tracker().Update(podResource, pod, namespace)
}

func (c *cluster) pods() []corev1.Pod {
	list, err := c.client.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{})
	if err != nil && c.t.Context().Err() == nil {
		c.t.Error(err)
		return nil
	}
	if err != nil {
		return nil
	}
	return list.Items
}

// runPods is the kubelet, and the lease: if no pod leads, the first one does.
func (c *cluster) runPods() {
	var pods []corev1.Pod
	for _, pod := range c.pods() {
		if pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		} else if time.Since(pod.DeletionTimestamp.Time) < ending {
			continue
		} else if err := c.client.Tracker().Delete(podResource, namespace, pod.Name); err != nil {
			c.t.Error(err)
		}
	}
	c.mu.Lock()
	if len(pods) > 0 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.UID == c.leader }) {
		c.leader = pods[0].UID
	}
	leader := c.leader
	c.mu.Unlock()
	for _, pod := range pods {
		c.run(pod.Name, pod.UID, !c.leaderOnly || pod.UID == leader)
	}
}

// ending is how long a pod takes to end: as in Kubernetes, until the controllers have heard
// that it does. One that had not would end the next pod of that name.
const ending = 300 * time.Millisecond

// run has a pod run, and be ready or not, unless it was told to end meanwhile.
func (c *cluster) run(name string, uid types.UID, isReady bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	object, err := c.client.Tracker().Get(podResource, namespace, name)
	if err != nil {
		return // it has ended
	}
	pod := object.(*corev1.Pod).DeepCopy()
	ready := corev1.ConditionFalse
	if isReady {
		ready = corev1.ConditionTrue
	}
	if pod.UID != uid || pod.DeletionTimestamp != nil || len(pod.Status.Conditions) == 1 && pod.Status.Conditions[0].Status == ready {
		return
	}
	pod.Status.Phase = corev1.PodRunning
	// Long ago: minReadySeconds are over.
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour))}}
	c.changed(pod)
	if err := c.client.Tracker().Update(podResource, pod, namespace); err == nil {
		c.ready[uid] = isReady
	}
}

// waitFor waits until a condition holds, and fails the test after a while.
func (c *cluster) waitFor(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, pod := range c.pods() {
				c.t.Logf("%s %s: %s, ending %v, %+v", pod.Name, pod.UID, pod.Status.Phase, pod.DeletionTimestamp, pod.Status.Conditions)
			}
			c.t.Fatalf("not after 30 s: %s; %+v", what, c.set().Status)
		}
	}
}

func (c *cluster) set() *appsv1.StatefulSet {
	c.t.Helper()
	set, err := c.client.AppsV1().StatefulSets(namespace).Get(c.t.Context(), "scheduler-store", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return set
}

// waitRunning waits until all pods run, and the budget has counted them.
func (c *cluster) waitRunning(healthy int32) *policyv1.PodDisruptionBudget {
	c.t.Helper()
	var budget *policyv1.PodDisruptionBudget
	c.waitFor("all pods run and are counted", func() (running bool) {
		running = len(c.pods()) == 3
		for _, pod := range c.pods() {
			running = running && pod.Status.Phase == corev1.PodRunning
		}
		var err error
		budget, err = c.client.PolicyV1().PodDisruptionBudgets(namespace).Get(c.t.Context(), "scheduler-store", metav1.GetOptions{})
		if err != nil {
			c.t.Fatal(err)
		}
		return running && budget.Status.ExpectedPods == 3 && budget.Status.CurrentHealthy == healthy
	})
	return budget
}

// rollOut changes the image, and counts the pods that are ended from then on. To the client
// in memory a status that the controller writes is the whole object, as the controller last
// saw it: the change may be lost, and is made again.
func (c *cluster) rollOut() {
	c.t.Helper()
	c.mu.Lock()
	c.fewest = len(c.ready)
	c.mu.Unlock()
	c.revision = c.set().Status.UpdateRevision
	c.waitFor("the new revision is seen", func() bool {
		set := c.set()
		if container := &set.Spec.Template.Spec.Containers[0]; container.Image != nextImage {
			container.Image = nextImage
			if _, err := c.client.AppsV1().StatefulSets(namespace).Update(c.t.Context(), set, metav1.UpdateOptions{}); err != nil {
				c.t.Fatal(err)
			}
		}
		return set.Status.UpdateRevision != c.revision
	})
}

const nextImage = "scheduler-store:next"

func (c *cluster) rolledOut() bool {
	status := c.set().Status
	return status.CurrentRevision != c.revision && status.UpdatedReplicas == 3 && status.AvailableReplicas == 3
}

// With the manifests as they are a rollout goes through all pods, with two ready at any
// time, and the budget lets one pod go.
func TestRolloutGoesThrough(t *testing.T) {
	c := newCluster(t, render(t, root+"/deploy/kubernetes/overlays/minio"), false)
	if budget := c.waitRunning(3); budget.Status.DisruptionsAllowed != 1 {
		t.Errorf("the budget lets %d pods go, want 1", budget.Status.DisruptionsAllowed)
	}
	c.rollOut()
	c.waitFor("the rollout is done", c.rolledOut)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != 3 || c.fewest != 2 {
		t.Errorf("%d pods were ended, and %d ready at a time; want 3 and 2", c.ended, c.fewest)
	}
	t.Logf("%d pods replaced, %d of them while they led; %d were ready at any time", c.ended, c.leaders, c.fewest)
}

// Were readiness asked at /leaderz, the leader could neither be rolled out nor evicted. This
// is why the manifests do otherwise; see deploy/README.md.
func TestReadinessByLeaderzWouldHalt(t *testing.T) {
	c := newCluster(t, render(t, root+"/deploy/kubernetes/overlays/minio"), true)
	if budget := c.waitRunning(1); budget.Status.DisruptionsAllowed != 0 {
		t.Errorf("the budget lets %d pods go", budget.Status.DisruptionsAllowed)
	}
	c.rollOut()
	c.waitFor("the followers were replaced", func() bool {
		status := c.set().Status
		return status.UpdateRevision != c.revision && status.UpdatedReplicas == 2
	})
	// Nothing tells that nothing will happen any more.
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if c.rolledOut() {
			t.Fatal("it went through: the README is wrong")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaders != 0 {
		t.Errorf("%d leaders were ended", c.leaders)
	}
}
