"""Chinese queries: what is left out, answered, named, told; and what looks like it and is whole."""

import pytest

from parrot_core.context import detect
from parrot_core.engines.types import Message


def said(*texts: str) -> list[Message]:
    roles = ("user", "assistant")
    return [
        Message(role=roles[place % 2], content=text)  # type: ignore[typeddict-item]
        for place, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    "query",
    [
        "用英文回答",
        "请用中文再说一遍",
        "可唔可以用粵語講解",
        "请你使用繁体中文",
        "能用更口语的方式解释一下吗",
        "再详细讲讲",
        "能说得详细一点吗？",
        "你只需要总结一下就行了",
        "请再解释一遍",
        "这个不行，你重新写一个",
        "可以给我几个例子吗",
        "能否用一些比喻，润色一下？",
        "那运费呢？",
        "如果是素食者呢，你也能推荐吗？",
        "感觉没有第一版好",
        "谁写的",
        "为什么呢？",
        "好用吗",
    ],
)
def test_a_request_or_question_that_leaves_its_object_out_depends(query: str) -> None:
    assert detect(query, (), "zh").depends


@pytest.mark.parametrize(
    "query",
    [
        "你的回答太长了",
        "以上步骤适用于苹果电脑吗",
        "请据此修改预算",
        "我指的是另一座城市",
        "这家店还有哪些招牌菜",
        "除此之外，还要带什么？",
        "我希望看到更多的细节",
        "和绿茶相比哪个更提神",
        "slide 7 的标题不见了",
        "请标注里面的比喻句",
        "把字体调整大",
        "你可以在表格中加上合计吗",
        "《红楼梦》根本没有这一回",
        "第6页写错了",
    ],
)
def test_a_reference_to_what_was_said_depends(query: str) -> None:
    assert detect(query, (), "zh").depends


@pytest.mark.parametrize(
    "query",
    [
        "用Python写一个计算器",
        "怎样用英文写好一封求职信？",
        "请把“你好”翻译成日文",
        "请修改下列句子中的错别字，并说明理由。",
        "请你给我写一份去云南的旅行计划",
        "苏州和杭州比起来哪里更适合养老？",
        "长期加班的人应该怎么调整作息呢？",
        "哪一个省份人口最多？",
        "详细介绍一下唐代的科举制度",
        "父母怎样和孩子谈金钱这个话题",
        "为什么有这么多人喜欢露营",
        "请写一个1500字以上的故事",
        "除了北京，中国还有哪些古都？",
        "如何让衣服干得快一点？",
        "useEffect 是什么？",
    ],
)
def test_a_query_that_says_what_it_is_about_stands_alone(query: str) -> None:
    found = detect(query, said("周末去哪里玩？", "可以去郊外走走。"), "zh")
    assert found.cues == ()


def test_an_answer_to_what_the_assistant_asked_depends_and_a_new_statement_does_not() -> None:
    asked = said("帮我查天气", "好的，请告诉我您在哪个城市。")
    told = said("帮我查天气", "今天多云，最高二十度，" + "傍晚有小雨，出门请带伞，" * 4)
    offered = said("帮我查天气", "今天多云。" * 8 + "还有什么我可以帮助您的吗？")
    answer = "我平时住在厦门的鼓浪屿附近"
    assert detect(answer, asked, "zh").cues[0].kind == "continuation"
    assert not detect(answer, told, "zh").depends
    assert not detect(answer, offered, "zh").depends
    assert not detect("请写一首关于厦门的诗歌", asked, "zh").depends


def test_a_name_coined_in_the_conversation_is_known_from_there_alone() -> None:
    history = said("写一个数独程序", "public Board fillBoard() { return solveAll(); }")
    query = "帮我把 solveAll 拆分为两个独立的部分，要求每个部分都不超过三十行，并且写好注释"
    assert detect(query, history, "zh").cues[0].kind == "definite"
    assert not detect(query, said("写一个数独程序", "好的。"), "zh").depends


def test_what_a_long_query_was_told_shows_in_its_opening() -> None:
    paste = "\n\n" + "ERROR in ./src/App.tsx: module not found. " * 20
    assert detect("根据你之前给我的脚本，怎么修正这段错误？" + paste, (), "zh").depends
    assert detect("好的，这一句呢？\n" + "今天早上发生了一起交通事故，车辆横在路上。" * 5).depends
    assert not detect("怎么修正下面的错误？" + paste, (), "zh").depends


def test_small_talk_that_names_nothing_of_what_was_said_depends() -> None:
    before = said("锅包肉好吃吗", "挺好吃的，就是油大")
    assert detect("真的太酸了吧我吃不惯", before, "zh").cues[0].kind == "ellipsis"
    assert not detect("锅包肉真的很酸", before, "zh").depends
    assert not detect("请写一首关于秋天的长诗", before, "zh").depends
    long = said("锅包肉好吃吗", "锅包肉是一道东北菜。" * 10)
    assert not detect("今天天气真的很好", long, "zh").depends


def test_a_fragment_that_names_again_what_was_said_is_whole() -> None:
    assert detect("毛血旺辣", said("去哪吃", "川菜馆"), "zh").depends
    assert not detect("毛血旺辣", said("吃毛血旺吗", "好啊"), "zh").depends
