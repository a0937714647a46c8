//! Functions that cannot be handlers.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

mod method {
    use jasper::prelude::*;

    command!(Run);

    struct Shop;

    impl Shop {
        #[handler]
        async fn run(&self, _: Run) {}
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod method_of_a_durable_handler {
    use jasper::prelude::*;

    command!(Run);

    struct Shop;

    impl Shop {
        #[handler]
        #[durable]
        async fn run(self: std::sync::Arc<Self>, _: Run, _: &mut sqlx::SqliteConnection) {}
    }
}

mod associated_function {
    use jasper::prelude::*;

    command!(Run);

    struct Shop;

    impl Shop {
        #[handler]
        async fn run(_: Run) {}
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

// 2 errors: that of the function, and that there is no handler.
mod associated_function_of_its_message {
    use jasper::prelude::*;

    command!(Run);

    impl Run {
        #[handler]
        async fn run(_: Self) {}
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod associated_function_with_a_type_of_its_own {
    use jasper::prelude::*;

    command!(Run);

    struct Shop;

    impl Shop {
        #[handler]
        async fn run(_: Run, _: State<Self>) -> Result<(), HandlerError> {
            Ok(())
        }
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod function_of_a_trait {
    use jasper::prelude::*;

    command!(Run);

    trait Shop: Sized {
        #[handler]
        async fn run(_: Run) -> Option<Self> {
            None
        }
    }
}

mod generic_over_a_type {
    use jasper::prelude::*;

    #[handler]
    async fn run<M: jasper::Message>(_: M) {}
}

mod generic_over_a_constant {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run<const N: usize>(_: Run) {}
}

mod extern_function {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async extern "C" fn run(_: Run) {}
}

mod unsafe_function {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async unsafe fn run(_: Run) {}
}

mod future_by_hand {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    fn run(_: Run) -> impl Future<Output = ()> + Send {
        async {}
    }
}

mod no_async {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    fn run(_: Run) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod no_arguments {
    use jasper::prelude::*;

    #[handler]
    async fn run() {}
}

mod structure {
    use jasper::prelude::*;

    #[handler]
    struct Run;
}

mod implementation {
    use jasper::prelude::*;

    struct Shop;

    #[handler]
    impl Shop {}
}

mod module {
    use jasper::prelude::*;

    #[handler]
    mod orders {}
}

mod durable_structure {
    use jasper::prelude::*;

    #[durable]
    struct Run;
}

mod durable_alone {
    use jasper::prelude::*;

    command!(Run);

    #[durable]
    async fn run(_: Run) {}
}

mod body_with_an_error {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) {
        missing();
    }
}

mod command_handled_twice {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn first(_: Run) {}

    #[handler]
    async fn second(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

fn main() {}
