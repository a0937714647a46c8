//! Programs of teams: ports, macros, contracts under other names, and what is done around a send.

#![deny(warnings)]
#![allow(dead_code, reason = "nothing here is run")]

macro_rules! command {
    ($($name:ident),*) => {
        $(
            #[derive(jasper::Command, serde::Serialize, serde::Deserialize, Clone)]
            pub struct $name;
        )*
    };
}

macro_rules! event {
    ($($name:ident),*) => {
        $(
            #[derive(jasper::Event, serde::Serialize, serde::Deserialize, Clone)]
            pub struct $name;
        )*
    };
}

mod port_as_state {
    use jasper::prelude::*;

    command!(A);
    trait Repo: Send + Sync {
        fn save(&self) -> impl Future<Output = ()> + Send;
    }
    struct Pg;
    impl Repo for Pg {
        async fn save(&self) {}
    }
    async fn place<R: Repo>(_: A, r: &R) {
        r.save().await
    }
    #[handler]
    async fn handle(cmd: A, r: State<Pg>) {
        place(cmd, &*r).await
    }
}

mod handlers_by_a_macro {
    use jasper::prelude::*;

    command!(A, B);
    macro_rules! handlers {
        ($($f:ident: $t:ty => $o:ty = $e:expr),* $(,)?) => {
            $(
                #[handler]
                async fn $f(_: $t) -> $o {
                    $e
                }
            )*
        };
    }
    handlers!(on_a: A => Option<B> = None, on_b: B => Result<Vec<A>, HandlerError> = Ok(vec![]));
}

mod item_of_a_macro {
    use jasper::prelude::*;

    command!(A);
    macro_rules! h {
        ($item:item) => {
            #[handler]
            #[durable]
            $item
        };
    }
    h! { async fn a(_: A, _db: &mut sqlx::SqliteConnection) {} }
}

mod signature_of_a_macro {
    use jasper::prelude::*;

    command!(A);
    macro_rules! h {
        ($v:vis $n:ident($($a:ident: $t:ty),*) $b:block) => {
            #[handler]
            $v async fn $n($($a: $t),*) $b
        };
    }
    h! { pub(crate) a(_cmd: A, _bus: Bus) { } }
}

mod patterns_as_arguments {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    pub struct A {
        x: u8,
        y: (u8, u8),
    }
    #[handler]
    async fn a(A { mut x, y: (_, z) }: A, mut bus: Bus) {
        x += 1;
        bus = bus.clone();
        let _ = (x, z, bus);
    }
}

mod state_with_a_constant {
    use jasper::prelude::*;

    command!(A);
    pub struct Pool<const N: usize>;
    #[handler]
    async fn a(_: A, _p: State<Pool<{ 2 + 2 }>>) {}
}

mod attributes_under_conditions {
    use jasper::prelude::*;

    command!(A);
    #[cfg_attr(all(), handler)]
    #[cfg_attr(all(), durable)]
    async fn a(_: A, _db: &mut sqlx::SqliteConnection) {}
}

mod derive_under_a_condition {
    #[cfg_attr(all(), derive(jasper::Command))]
    #[derive(serde::Serialize, serde::Deserialize)]
    #[cfg_attr(all(), command(name = "teams.conditional", version = 2))]
    pub struct A;
    #[jasper::handler]
    async fn a(_: A) {}
}

mod selected {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    async fn f(b: &Bus) {
        tokio::select! { r = b.send(A) => { let _ = r; } r = b.invoke(A) => { let _ = r; } }
    }
}

mod invoked_in_a_box {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    fn f(
        b: Bus,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), jasper::InvokeError>> + Send>> {
        Box::pin(async move { b.invoke(A).await })
    }
}

mod bus_behind_a_trait {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    trait Port {
        fn place(
            &self,
            a: A,
        ) -> impl Future<Output = Result<jasper::runtime::Sent, jasper::SendError>> + Send;
    }
    impl Port for Bus {
        async fn place(&self, a: A) -> Result<jasper::runtime::Sent, jasper::SendError> {
            self.send(a).await
        }
    }
}

mod eight_of_all_kinds {
    use jasper::prelude::*;

    command!(A);
    event!(E1, E2, E3, E4, E5, E6, E7);
    #[handler]
    async fn a(_: A) -> (Reply<()>, E1, Option<E2>, Vec<E3>, (E4, E5), E6, Delayed<E7>, To<A>) {
        unreachable!()
    }
}

mod reply_of_many_layers {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(reply = Result<Vec<Option<Box<[u8]>>>, String>)]
    pub struct A;
    #[handler]
    async fn a(_: A) -> Result<Reply<Result<Vec<Option<Box<[u8]>>>, String>>, HandlerError> {
        Ok(Reply(Err("".into())))
    }
}

mod functions_as_state {
    use jasper::prelude::*;

    type Parse = dyn Fn(&str) -> Result<u8, String> + Send + Sync;
    command!(A);
    #[handler]
    async fn a(_: A, _f: State<Box<Parse>>, _g: State<dyn Fn() + Send + Sync>) {}
}

mod borrowed_while_sending {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    async fn f(b: &Bus, v: &[u8]) {
        let _ = b.send_all(v.iter().map(|_| A)).await;
        let _ = b.send_all((0..3).filter_map(|i| (i > 1).then_some(A))).await;
    }
}

mod spawned_in_a_set {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    async fn f(b: Bus) {
        let mut s = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let b = b.clone();
            s.spawn(async move { b.send(A).deduplicate("x").await });
            s.spawn(b2().send(A).into_future());
        }
    }
    fn b2() -> Bus {
        unreachable!()
    }
}

mod typed_client {
    use jasper::{Bus, Invocable, InvokeError, SendError, Sendable};

    command!(A);
    #[jasper::handler]
    async fn a(_: A) {}
    struct Client<M, H> {
        bus: Bus,
        p: std::marker::PhantomData<fn(M, H)>,
    }
    impl<M: Sendable<H>, H> Client<M, H> {
        async fn go(&self, m: M) -> Result<jasper::runtime::Sent, SendError> {
            self.bus.send(m).await
        }
    }
    async fn inv<M: Invocable<H>, H>(b: &Bus, m: M) -> Result<M::Reply, InvokeError> {
        b.invoke(m).await
    }
    async fn f(b: &Bus) {
        let c = Client { bus: b.clone(), p: std::marker::PhantomData };
        let _ = c.go(A).await;
        let _ = inv(b, A).await;
    }
}

mod async_closures {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A) {}
    async fn f(b: &Bus) {
        let s = async |x: A| b.send(x).await;
        let _ = s(A).await;
        let t = |x: A| b.send(x);
        let _ = t(A).await;
    }
}

mod contract_under_another_name {
    pub mod contracts {
        command!(A);
    }
    pub use contracts::A as Renamed;
    #[jasper::handler]
    async fn a(_: Renamed) {}
    async fn f(b: &jasper::Bus) {
        let _ = b.send(contracts::A).await;
    }
}

mod letters_beyond_ascii {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(name = "teams.size")]
    pub struct Größe;
    #[handler(queue = "groesse")]
    async fn größe(_: Größe) {}
}

mod list_of_pairs {
    use jasper::prelude::*;

    command!(A, B);
    #[handler]
    async fn b(_: B) {}
    #[handler]
    async fn a(
        _: A,
    ) -> Result<
        Option<(Vec<(B, Option<A>)>, With<B>)>,
        Box<dyn std::error::Error + Send + Sync + 'static>,
    > {
        Ok(None)
    }
}

mod function_over_lifetimes_as_state {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    async fn a(_: A, _f: State<for<'a> fn(&'a str) -> &'a str>) {}
}

mod result_in_a_result {
    use jasper::prelude::*;

    command!(A);
    event!(E);
    #[handler]
    async fn a(_: A) -> Result<Result<E, HandlerError>, std::io::Error> {
        Ok(Ok(E))
    }
}

mod recursive_message {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    pub struct A(Box<A2>);
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct A2 {
        next: Option<Box<A2>>,
    }
    #[handler]
    async fn a(_: A) {}
}

mod bounded_lifetimes {
    use jasper::prelude::*;

    command!(A);
    #[handler]
    #[durable]
    async fn a<'a, 'b: 'a>(_: A, db: &'a mut sqlx::SqliteConnection) {
        let _ = db;
    }
}

mod message_of_generic_parts {
    use jasper::prelude::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Wrap<T>(T);
    #[derive(Command, serde::Serialize, serde::Deserialize)]
    pub struct A(Wrap<Vec<Wrap<u8>>>);
    #[handler]
    async fn a(A(Wrap(v)): A) {
        let _ = v;
    }
}

mod restricted_visibility {
    pub mod inner {
        command!(A);
        #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
        pub(super) struct E;
        #[jasper::handler]
        pub(in super::super::restricted_visibility) async fn a(_: A) -> Option<E> {
            None
        }
    }
}

mod structs_without_fields {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    pub struct A {}
    #[derive(Command, serde::Serialize, serde::Deserialize)]
    pub struct B();
    #[handler]
    async fn a(A {}: A) {}
    #[handler]
    async fn b(B(): B) {}
}
