//! One task: from take-over to its last acknowledgement.

use std::{
    collections::HashSet,
    sync::{atomic::AtomicU32, mpsc},
};

pub use super::commit::WindowRecord;
use super::{
    Control, Ending, Engine, Verdict,
    account::Account,
    commit::{Committer, Next},
    crew::Crew,
    intents::{Handed, Intents},
    outputs::Outputs,
    parts::Families,
    place::Places,
    server_copy::copied_there,
    stage::Bench,
    takeover, window_open_files,
};
use crate::{
    Error, Result,
    effort::{self, CallKind, Effort},
    manifest::Manifest,
    outcome::Recorded,
    plan::Plan,
    stores::{Sink, Source, Temporaries, Temporary, open_sink, open_source, s3::is_object_uri},
};

/// A task as the ledger hands it out.
#[derive(Debug, Default)]
pub struct Task {
    /// Its number in the ledger.
    pub id: i64,
    /// The counter of the token under which it was claimed; higher than that of every earlier attempt.
    pub counter: u64,
    /// Its entries.
    pub manifest: Vec<u8>,
    /// The windows that earlier attempts recorded, in order; only the last one may be unacknowledged.
    pub windows: Vec<Recorded>,
    /// Whether an earlier attempt ended without its own doing.
    pub unclean: bool,
    /// What is remembered of the directories of its outputs, oldest first.
    pub fingerprints: Vec<(Vec<u8>, Vec<u8>)>,
    /// Only deal with what an earlier attempt left behind.
    pub settle: bool,
    /// What earlier attempts died of, perhaps.
    pub care: Care,
    /// The lease is a lock of the kernel: nobody else can hold it while this process lives.
    pub kernel_leases: bool,
    /// What earlier attempts took.
    pub effort: Effort,
}

/// What is known of a task that has killed its process (protocol, rule 22).
#[derive(Debug, Default)]
pub struct Care {
    /// Entries that were in flight when the process crashed: worked on last, one by one.
    pub suspects: Vec<u32>,
    /// Entries that are not tried again: position, the error's kind and its message.
    pub poisoned: Vec<(u32, String, String)>,
    /// Attempts that ended nobody knows how. After two the task is worked on in ever smaller slices, so that what is
    /// innocent gets done.
    pub deaths: u32,
}

impl Care {
    /// In which portions the entries are worked on. Those of one output, which have the same `lead`, stay together.
    fn portions(&self, todo: Vec<(u32, u32)>, lead: impl Fn(u32) -> u32) -> Vec<Vec<(u32, u32)>> {
        let suspected: HashSet<u32> = self.suspects.iter().map(|index| lead(*index)).collect();
        let (suspects, mut others): (Vec<_>, Vec<_>) =
            todo.into_iter().partition(|(index, _)| suspected.contains(&lead(*index)));
        if self.deaths >= 2 && !others.is_empty() {
            let end = (others.len() >> (self.deaths - 1).min(31)).max(1);
            let last = lead(others[end - 1].0);
            others.truncate(end + others[end..].iter().take_while(|(index, _)| lead(*index) == last).count());
            return vec![others];
        }
        let mut portions = vec![others];
        portions.extend(suspects.chunk_by(|one, other| lead(one.0) == lead(other.0)).map(<[_]>::to_vec));
        portions.retain(|portion| !portion.is_empty());
        portions
    }
}

impl Engine {
    /// Run a task, or what remains of it.
    ///
    /// `on_window` is called on this thread, once for each window and once at the end; see [`WindowRecord`].
    pub fn run_task(
        &self,
        plan: &Plan,
        task: &Task,
        control: &Control,
        on_window: &mut dyn FnMut(WindowRecord) -> Result<Verdict>,
    ) -> Result<Ending> {
        let pipeline = plan.pipeline()?;
        pipeline.prepare()?;
        let manifest = Manifest::decode(&task.manifest)?;
        // Without a name there is nothing that whoever takes over could remove under a late publish (rule 7).
        // And with one, the many outputs of an entry need not all stay open, where they are files.
        let are_objects = plan.sink.as_ref().is_some_and(|sink| is_object_uri(&sink.uri));
        let nameless = task.kernel_leases && (are_objects || !plan.expands());
        let temporaries = if nameless { Temporaries::Nameless } else { Temporaries::Named };
        let sink = plan.sink.as_ref().map(|sink| open_sink(sink, temporaries)).transpose()?;
        if let Some(sink) = &sink {
            sink.works_for(&plan.job);
        }
        let source = open_source(plan)?;
        let bench = Bench {
            plan,
            pipeline: &pipeline,
            manifest: &manifest,
            control,
            task,
            notes: &self.notes,
            temporaries: (Temporary::task_prefix(&plan.job, task.id), task.counter),
            next_temporary: AtomicU32::new(0),
            effort: effort::begin(CallKind::Task, pipeline.step_names(), plan.disks(), task.effort.clone()),
            rates: self.rates.begin(&plan.job, plan.read_rate, plan.write_rate),
            source: &*source,
            outputs: Outputs::of(plan, &pipeline, &manifest),
            families: Families::default(),
            intents: Intents::default(),
            copied_there: match task.settle {
                true => None,
                false => copied_there(plan, &manifest, &*source, sink.as_deref()),
            },
            sink: sink.as_deref(),
            kernel_leases: task.kernel_leases,
        };
        let run = Run { engine: self, task, bench: &bench, source: &*source };
        run.go(on_window)
    }
}

struct Run<'r> {
    engine: &'r Engine,
    task: &'r Task,
    bench: &'r Bench<'r>,
    source: &'r dyn Source,
}

impl Run<'_> {
    fn go(&self, on_window: &mut dyn FnMut(WindowRecord) -> Result<Verdict>) -> Result<Ending> {
        let (account, mut settled) = self.acknowledged()?;
        if self.task.unclean || self.task.windows.last().is_some_and(|window| !window.acknowledged) {
            takeover::sweep(self.bench)?;
        }
        let pending = takeover::adopt(self.bench, self.source, &self.task.windows)?;
        settled.extend(pending.iter().flat_map(|published| &published.rows).map(|row| row.index));
        let entries = u32::try_from(self.bench.manifest.len()).unwrap_or(u32::MAX);
        let todo: Vec<(u32, u32)> = (0..entries).filter(|index| !settled.contains(index)).map(|at| (at, 0)).collect();
        let mut committer =
            Committer { bench: self.bench, source: self.source, on_window, account, pending, redo: Vec::new() };
        for mut portion in self.task.care.portions(todo, |index| self.bench.outputs.lead(index)) {
            while !portion.is_empty() && !self.task.settle && !self.bench.control.draining() {
                if self.stage_and_commit(&portion, &mut committer)? == Next::Fenced {
                    return Ok(Ending::Fenced);
                }
                portion = std::mem::take(&mut committer.redo);
            }
        }
        Ok(match committer.finish()? {
            Verdict::Fenced => Ending::Fenced,
            _ if committer.remaining() == 0 => Ending::Finished,
            _ => match self.bench.control.sink_full() {
                Some(errno) => return Err(Error::SinkFull(errno)),
                None => Ending::Drained,
            },
        })
    }

    /// The account of what is acknowledged already, and which entries that are.
    fn acknowledged(&self) -> Result<(Account, HashSet<u32>)> {
        let mut account = Account::default();
        if self.bench.sink.is_some_and(Sink::is_weakly_fenced) {
            account.was_weakly_fenced();
        }
        let mut settled = HashSet::new();
        for window in self.task.windows.iter().filter(|window| window.acknowledged) {
            for row in window.rows()? {
                account.add(&row, || self.bench.shown_path(row.index));
                settled.insert(row.index);
            }
        }
        Ok((account, settled))
    }

    /// Fill windows on one thread while this one commits those that are full.
    fn stage_and_commit(&self, todo: &[(u32, u32)], committer: &mut Committer<'_, '_>) -> Result<Next> {
        // No buffer: one window is filled while one is committed, so that memory and descriptors stay bounded.
        let (windows, full) = mpsc::sync_channel(0);
        let stores = (self.source, self.bench.sink);
        let places =
            Places::new(self.bench.plan, self.bench.pipeline, self.bench.manifest, stores, &self.task.fingerprints);
        let crew = Crew {
            engine: self.engine,
            bench: self.bench,
            places,
            windows,
            open_files: window_open_files(self.bench.manifest.len()),
            held_bytes: match self.bench.sink {
                Some(sink) if sink.holds_outputs() => self.engine.window_held_bytes(self.bench.manifest.len()),
                _ => u64::MAX,
            },
        };
        std::thread::scope(|scope| {
            let door = self.bench.intents.open(crew.windows.clone());
            let run = move || {
                let _door = door;
                crew.run(todo)
            };
            let staging = std::thread::Builder::new().name("pravah-crew".into());
            let staging = staging.spawn_scoped(scope, run).expect("the system has a thread for the crew");
            let mut answer = Ok(Next::Go);
            for handed in &full {
                answer = match handed {
                    Handed::Window(window) => committer.commit(window),
                    Handed::Intent(row, answer) => committer.intend(*row).inspect(|next| {
                        if *next == Next::Go {
                            let _ = answer.send(()); // who asked may have been given up
                        }
                    }),
                };
                if !matches!(answer, Ok(Next::Go)) {
                    self.bench.control.drain();
                    break;
                }
            }
            drop(full);
            match staging.join() {
                Ok(staged) => staged.and(answer),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn todo(entries: u32) -> Vec<(u32, u32)> {
        (0..entries).map(|index| (index, 0)).collect()
    }

    #[test]
    fn portions_of_a_task_with_suspects_end_with_each_of_them_alone() {
        let care = Care { suspects: vec![1, 3], ..Care::default() };
        assert_eq!(care.portions(todo(4), |index| index), [vec![(0, 0), (2, 0)], vec![(1, 0)], vec![(3, 0)]]);
        assert_eq!(care.portions(vec![(3, 0)], |index| index), [[(3, 0)]]);
        assert!(care.portions(vec![], |index| index).is_empty());
    }

    #[test]
    fn portions_keep_the_entries_of_one_output_together() {
        let pair = |index: u32| index / 2 * 2;
        let care = Care { suspects: vec![3], ..Care::default() };
        assert_eq!(care.portions(todo(6), pair), [vec![(0, 0), (1, 0), (4, 0), (5, 0)], vec![(2, 0), (3, 0)]]);
        let care = Care { deaths: 9, ..Care::default() };
        assert_eq!(care.portions(todo(6), pair), [[(0, 0), (1, 0)]]);
    }

    #[test]
    fn portions_of_a_task_that_was_lost_again_and_again_are_halved() {
        let lengths = |deaths| {
            let care = Care { deaths, ..Care::default() };
            care.portions(todo(8), |index| index).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!((0..7).map(lengths).collect::<Vec<_>>(), [[8], [8], [4], [2], [1], [1], [1]]);
    }
}
