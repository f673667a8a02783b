//! Tests of where and for whom a panel judges, and of what it tells about its costs.

use std::future::pending;
use std::sync::mpsc::{Sender, channel};

use prometheus::Registry;
use uuid::Uuid;
use weir_critic::{Answer, Question};

use super::*;
use crate::inline::judge::{Asked, Config, Metrics};

/// A rule that tells on which thread it judges.
#[derive(Debug)]
struct Teller(Mutex<Sender<String>>);

impl Critic for Teller {
    fn version(&self) -> &str {
        "teller"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, _: &Case) -> Judgement {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.0.lock().unwrap().send(name).unwrap();
        Judgement::pass()
    }
}

/// Asks so many questions, and finds bad whatever was replied.
#[derive(Debug)]
struct Asker(usize);

impl Questioner for Asker {
    fn version(&self) -> &str {
        "asker"
    }

    fn ask(&self, _: &Case) -> Vec<Question> {
        (0..self.0).map(|number| Question { body: serde_json::json!({ "of": self.0, "number": number }) }).collect()
    }

    fn read(&self, _: &Case, _: &[Option<Reply>]) -> Judgement {
        Judgement { outcome: weir_critic::Outcome::Fail, ..Judgement::pass() }
    }
}

/// Replies to the first question of each critic only; of a critic of one, after the others'.
struct Engine;

impl Ask for Engine {
    fn ask<'a>(&'a self, question: Question, _: Option<&'a str>, _: Urgency) -> Asked<'a> {
        Box::pin(async move {
            match (question.body["of"].as_u64(), question.body["number"].as_u64()) {
                (Some(1), _) => tokio::task::yield_now().await,
                (_, Some(0)) => {}
                _ => pending().await,
            }
            let reply = Reply { answer: Answer::default(), prompt_tokens: 30, completion_tokens: 4 };
            Ok((reply, Duration::from_secs(2)))
        })
    }
}

fn panel(settings: &[&str], critic: impl Fn(&str) -> Built) -> (Panel, Registry) {
    let critics: String = settings.iter().map(|member| format!("[[critics]]\n{member}\n")).collect();
    let policy: RoutePolicy = toml::from_str(&critics).unwrap();
    let registry = Registry::new();
    let judges = Judges::start(&Config::default(), Metrics::register(&registry).unwrap()).unwrap();
    let critic = |name: &str| Some((critic(name), String::new()));
    (Panel::new(policy, critic, Arc::new(judges), Arc::new(Engine)), registry)
}

fn matter(text: &str) -> Matter {
    let answer = Answer { text: text.to_owned(), ..Answer::default() };
    let case = Case { answers: vec![answer], ..Case::default() };
    Matter { id: ExchangeId(Uuid::nil()), case: Some(Arc::new(case)), model: None, left: None }
}

#[tokio::test]
async fn rules_judge_short_texts_where_they_are_asked_and_long_ones_on_threads_for_it() {
    let (tell, told) = channel();
    let teller: Arc<dyn Critic> = Arc::new(Teller(Mutex::new(tell)));
    let (panel, _registry) = panel(&["critic = \"rule\"\nmode = \"enforce\""], |_| Built::Alone(teller.clone()));
    let here = std::thread::current().name().unwrap().to_owned();
    for (length, in_place) in [(10, true), (64 << 10, true), ((64 << 10) + 1, false)] {
        let matter = matter(&"x".repeat(length));
        assert_eq!(panel.is_prompt(Bench::Enforced, &matter), in_place, "{length}");
        let verdicts = panel.judge(Bench::Enforced, Urgency::Request, &matter).await;
        assert_eq!(verdicts[0].judgement, Judgement::pass());
        let thread = told.recv().unwrap();
        assert_eq!(thread == here, in_place, "{length}: {thread}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_questions_have_cost_is_told_whoever_gave_them_up() {
    let asking = |name: &str| Built::Asking(Arc::new(Asker(if name == "quick" { 1 } else { 2 })));
    let late = "critic = \"late\"\nmode = \"enforce\"\nbudget = \"1s\"";
    let quick = "critic = \"quick\"\nmode = \"enforce\"";
    let table: [(&[&str], Skip, f64); 2] = [(&[late], Skip::TimedOut, 1.0), (&[late, quick], Skip::EarlyExit, 2.0)];
    for (settings, skip, replies) in table {
        let (panel, registry) = panel(settings, asking);
        let verdicts = panel.judge(Bench::Enforced, Urgency::Request, &matter("x")).await;
        let cost = Cost { prompt_tokens: 30, completion_tokens: 4, engine_time: Duration::from_secs(2) };
        assert_eq!((&verdicts[0].judgement, verdicts[0].cost), (&Judgement::skipped(skip), cost));
        let sum = |name: &str| -> f64 {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
        };
        assert_eq!(sum("weir_critic_tokens_total"), 34.0 * replies, "{skip:?}");
        assert_eq!(sum("weir_critic_engine_seconds_total"), 2.0 * replies, "{skip:?}");
    }
}
