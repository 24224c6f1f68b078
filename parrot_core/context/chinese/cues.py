"""The Chinese rules that are one pattern each, simplified and traditional script."""

import re
from collections.abc import Callable

from parrot_core.context.chinese.answer import find_answer
from parrot_core.context.chinese.named import find_named
from parrot_core.context.chinese.objectless import find_objectless
from parrot_core.context.chinese.opening import find_same_asked, find_told
from parrot_core.context.chinese.restyle import find_restyle
from parrot_core.context.query import Query
from parrot_core.context.rule import ContextRule, Kind, first_match

Finder = Callable[[Query], tuple[int, int] | None]

_SHORT_CHARS = 60
"""Longer Chinese queries mostly bring the thing that they point at."""

_TALK_CHARS = 100
"""Talk about the talk shows in somewhat longer ones."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_ANTECEDENT_CHARS = 4
_COURTESY = re.compile(
    r"^(?:好的?|谢谢你?|謝謝|明白了?|不错|不錯|很好|可以|嗯|哦|ok|请|請|那么|那麼|没事|对|對"
    r"|[\s，,。！!])+",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[，,。.；;？?！!：:\n]")

_PRONOUN = re.compile(
    r"(?<![其吉])[它牠他她](?!人|国|國|乡|鄉|日)|(?<![尤与與极極莫])其(?=[中的他]|\w{2,3}[是为為])"
)
_OWN_POSSESSIVE = re.compile(r"[\u3400-\u9fff]{2,}[和与與跟及]\Z")
_CLASSIFIER = (
    r"[个個些样樣种種段篇首句两兩几幾部张張道题題里裡边邊款项項条條位本只隻家件次类類层層列行]"
)
_DEMONSTRATIVE = re.compile(
    r"[这這](?!(?:个|個)?(?:周末|週末|星期|礼拜|月|世界|年头|时代)|几[天年]|幾[天年]"
    r"|[一两]?[天年月次]"
    r"|段(?:时间|日子)|阵|时候|輩子|辈子|[么麼](?:多|大|少|高|好|受|难|難|快|重要|火|流行))"
    rf"(?=[二三四五六七八九十\d]+{_CLASSIFIER}|{_CLASSIFIER}"
    rf"|[是就会會能跟和与與对對有不算么麼要可应應怎为為])"
    rf"|(?<![\u3400-\u9fff])那(?={_CLASSIFIER})(?!.{{2,20}}的[^，。？]{{1,8}}[叫是])(?!一?[年天])"
    r"|(?<=[\u3400-\u9fff])(?<!的)那(?=[家位张張])|(?<=[在去到从從])那[儿兒里裡边邊]"
    r"|(?<=[\u3400-\u9fff])的那[个個种種](?=答案|问题|問題|版本|方案|办法|辦法)"
    r"|[在从從到对對把给給用按]那[个個種种些段次](?!.{2,20}的)"
    r"|该(?=[段篇项個个句条]|代码|文|程序|方法|函数)|該(?=[段篇項個句條]|代碼|程式|文|方法|函數)"
    r"|此(?=文|代码|代碼|问题|問題|题|題|段|类|類|方法)"
    r"|(?<![\u3400-\u9fff])呢[個啲]|嗰[個啲度]"
    r"|^哪[一]?[个個本种種首部款家](?=[是更最比会會能有好适適值对對离離跟和与與在不让讓要可"
    r"需，,？?]|$)"
)
_APPOSED = re.compile(
    r"(?:[A-Za-z0-9”》」]"
    r"|[\u3400-\u9fff](?<![释釋把将將对對用在从從给給看关關于於为為以解改写寫析译譯明讲講绍紹价"
    r"價了着著"
    r"过過下里中上是有到和与與跟说說像据據按照成做作要想得会會能知道喜欢歡爱愛让讓使叫教问問找读"
    r"讀背听聽就除比加去删刪换換充议議述结結修些]))"
    r"\s*[这這][个個种種类類门門位款座项項](?:话题|話題|概念|国家|國家|城市|公司|职业|職業|行业"
    r"|行業|领域|領域|学科|學科|节日|節日"
    r"|人物|现象|現象|品牌|单词|單詞|词|詞|字|成语|成語|地方|游戏|遊戲)"
    r"|[和与與跟、][^，。]{1,16}[这這][几幾两兩三]"
)
_WORDS_QUOTED = re.compile(r"[这這]一?[句个個段](?:话|話|词|詞|字|成语|成語|句子|文字).*[“「『\"]")
_NOUN_AFTER = re.compile(
    rf"[这這那此](?:[一两兩三几幾]?{_CLASSIFIER})?(?P<noun>[\u3400-\u9fff]{{2}})"
)
_POINTS_AHEAD = re.compile(r"[下以][面下列]|：|:")
_SAID_THINGS = (
    r"(?:回答|回复|回復|回覆|答复|答覆|答案|代码|代碼|程序|程式|例子|示例|解释|解釋|介绍|介紹"
    r"|回应|回應|步骤|步驟"
    r"|[个個段句](?:话|話|回答|答案|代码|代碼|例子|解释|解釋|说法|說法))"
)
_PRAISE = (
    r"(?:让我|讓我)?(?:很|真|非常|挺|十分|太)?(?:不错|不錯|好|棒|赞|讚|有|精彩|详细|詳細|清楚"
    r"|清晰|全面|满意|滿意)"
)
_DISCOURSE = re.compile(
    rf"(?:上面|前面)(?:的|说|說|提|写|寫|那|这|這|几[个個点點条條]|{_SAID_THINGS})|^\W*(?:请"
    rf"|請)?[把将將对對]?上面"
    r"|上述|[据據依照]此(?!地)"
    r"|(?<![字岁歲年个個分%万萬千百\d])以上(?!的?(?:人|学历|學歷|年|岁|歲))|[刚剛]才"
    r"|(?<![的年月日])之前(?:的|说|說|提|写|寫|给|給|生成)"
    r"|上一[个個条條段次句]|你(?:[刚剛]才?|之前|一开始|一開始)?(?:说|說|提到|给|給|写|寫|列|回答"
    r"|生成)(?:我|出)?(?:的|了|过|過|出)"
    rf"(?!{_PRAISE}|我{_PRAISE})"
    r"|你(?:虽然|雖然|又|还|還|只)?(?:改正|修改|新增|删除|漏掉|遗漏|遺漏|忽略|省略|重复|重複)了"
    r"|(?<![请請让讓要想帮幫由])你(?:所|[刚剛]才?|之前)?(?:给|給|说|說|提|写|寫|列|发|發|生成"
    r"|推荐|推薦|用)"
    r"[^，。？?一个個份篇首些段关關有于於的]{0,4}的(?=[\u3400-\u9fffA-Za-z])"
    rf"|(?<!谢)(?<!謝)(?<!感)你(?:的|[这這])(?:[A-Za-z+#]{{1,10}})?{_SAID_THINGS}(?!{_PRAISE})"
    r"|(?:才|没|沒)(?:问|問|给|給|告诉|告訴)你"
    r"|我(?:的意思|是[说說问問指]|说的|說的|[问問指]的是)|怎么(?:算|得|推|来|來)[出来來]*的"
    r"|报错了|報錯了"
)
_DEFINITE = re.compile(
    r"(?<!的)第[一二三四五六七八九十\d]+[个個点點条條段句种種项項步本部首章题題行列张張页頁"
    r"幕](?!世界)"
    r"|(?<![A-Za-z])(?i:slide|page|step|chapter|part|section|figure|table|line|question|point) ?\d+"
    r"|(?<!的)最[后後]一?[个個句段点點条條行步]|两者|兩者|前者|[后後]者"
    r"|^哪[一]?[个個本种種首部款].{0,2}最|(?:^|[在把将將对對看出给給到]|标注|標註)(?:里面|裡面"
    r"|其中|中间|中間|后面|後面)(?:的|[这這那哪])"
    r"|(?:^|[在把将將对對看出给給到])(?:诗|詩|文|文章|故事|代码|代碼|程序|程式|图|圖|表|对话"
    r"|對話)[中里裡内內]"
    r"|(?<![的之])[前后後][两兩几幾一二三四\d][句段行条條项項个個点點步](?!月|世纪|世紀)"
    r"|^\W*(?:作者|主角|主演|导演|導演|总部|總部|价格|價格|价钱|价錢|面积|面積|气温|氣溫|副作用"
    r"|用法|原理|流程|费用|費用"
    r"|出处|出處|性能|区别|區別|前提|原因)(?:[是在有叫多怎为為吗嗎呢]|分别|分別)"
    r"|^(?:请|請|把|将|將)?(?:题目|題目|结局|結局|主角|标题|標題|开头|開頭|结尾|結尾|语气|語氣"
    r"|字数|字數|内容|內容|代码|代碼|文章)"
)
_CONTINUATION = re.compile(
    r"^\W*(?:请|請)?(?:继续|繼續|接着|接著|还有|還有|更多|展开|展開|(?:再)?(?:详细|詳細|具体|具體)"
    r"(?:说|說|解释|解釋|讲|講|一|点|點|描述|介绍|介紹)(?:[说說讲講明一下些点點吗嗎吧])*\W*$"
    r"|[举舉](?:[一个個些几幾])*例(?:子|说明|說明)*(?:吗|嗎|吧)?\W*$"
    r"|重新|重写|重寫|重做|尝试|嘗試|下一[个個步题題])"
    r"|^\W*(?:是的?|不是|不对|不對|没错|沒錯|对|對|不行|不好|没用|沒用|看不懂|不明白|不懂)"
    r"\W*(?:[，,。！!？?吗嗎]|$)|^\W*(?:好的?|可以)(?:吗|嗎)?\W*$"
    r"|^\W*(?:不|没|沒|还是|還是|已经|已經)[\u3400-\u9fff]{1,5}\W*$"
    r"|^\W*[\u3400-\u9fff]{1,3}[过過]了\W*$|^(?:对|對|是|真)(?:吗|嗎|的吗|的嗎)"
    r"|^\W*你?(?:确定|確定|肯定)(?:[吗嗎么麼]|\W*$)|^\W*(?:太[\u3400-\u9fff]{1,3}了|不够|不夠"
    r"|错了|錯了"
    r"|还是(?:不|没|有|报)|還是(?:不|沒|有|報))"
)
_RELATION = (
    r"(?:优势|劣势|優勢|劣勢|优点|缺点|優點|缺點|优缺点|好处|坏处|好處|壞處|区别|區別|不同|影响"
    r"|影響"
    r"|特点|特點|原因|意义|意義|作用|用途|风险|風險|步骤|步驟|例子|限制|应用|應用|建议|建議|方法"
    r"|办法)"
)
_ASKS_ITSELF = (
    r"[^。？?！!\n]*(?:什[么麼]|怎|如何|为何|為何|为啥|哪|谁|誰|几|幾|多少|多久|多大|是不是|是否"
    r"|吗|嗎|还是|還是|[何么麼])"
)
_ELLIPSIS = re.compile(
    r"^\W*(?:然[后後]|所以|而且|因为|因為|还|還)|^\W*(?:但是?|可是|不过|不過)(?=.{1,13}\Z)"
    r"|^\W*那(?!些|个|個)(?=[么麼，, ]*[\u3400-\u9fffA-Za-z]{1,10}\W*$)"
    rf"|^(?!\W*{_ASKS_ITSELF})[^。？?！!，,\n]{{1,14}}呢\s*(?:[？?]|$|\n)"
    rf"|(?:^|[。！!？?\n])(?!{_ASKS_ITSELF})[^。？?！!\n]{{1,30}}呢\s*[？?]?\s*(?:$|\n)"
    r"|^\W*(?:感觉|感覺|觉得|覺得|看起来|看起來|似乎|好像)[还還也都就是]*(?:不|没|沒|有点|有點"
    r"|太|很|挺|更|比)"
    r"|也(?:能|会|會|可以|行)[^，。？]{0,6}[吗嗎]|也(?:适用|適用|成立|一样|一樣|行|可以|这样"
    r"|這樣)(?:吗|嗎|么|麼|吧)|题目也|題目也"
    r"|^\W*(?:只|光|单|單)[\u3400-\u9fff]{1,4}[，,]|[按照][^，。？]{1,8}的\W*$"
    r"|^\W*(?:为什么|為什麼|为何|為何|什么意思|什麼意思|哪些|多少|多久|几个|幾個|几点|幾點|怎么样"
    r"|怎么会|怎麼會)\W*$"
    r"|^\W*(?:怎么|怎麼|如何)(?:去|用|做|办|辦|写|寫|算|弄|走|说|說|读|讀|买|買|解决|实现|實現|操作"
    r"|回事|使用|选|選)\W*$"
    r"|^\W*[\u3400-\u9fff]{0,4}(?:多久|多少钱|多少錢|多长时间|多長時間|多少|多大|多远|多遠)\W*$"
    rf"|^\W*(?:有(?:什么|什麼|哪些|没有)|主要|都有)?{_RELATION}"
    r"(?:[和与與、][\u3400-\u9fff]{2,4})?(?:分别|分別)?(?:是|有)?(?:什么|什麼|哪些)?\W*$"
    rf"|^\W*有(?:什么|什麼|哪些|没有){_RELATION}\W*$"
    r"|^\W*(?:需要|应该|應該|会|會|会不会|會不會|要不要)(?!.*[我你]).{1,12}(?:什[么麼]|哪些"
    r"|[吗嗎])\W*$"
    r"|^\W*(?:哦|嗯|那|是|又)*谁[\u3400-\u9fff]{1,4}的[啊呀呢]?\W*$|^\W*是谁[啊呀呢]?\W*$"
    r"|^\W*[在从從到]?哪[里裡儿兒]?[\u3400-\u9fff]{0,3}的?\W*$|^\W*(?:为什么|為什麼|为啥"
    r"|為啥)[呢呀啊]\W*$"
    r"|^\W*(?!你[好在])(?:还|也|很|都|真)?[\u3400-\u9fff]{1,3}[吗嗎]\W*$"
    r"|^\W*(?:怎么|怎麼|如何)[\u3400-\u9fff][啊呀呢的]?\W*$"
    r"|^\W*有(?:什么|什麼|哪些|啥|没有|沒有)[\u3400-\u9fff]{1,4}[吗嗎]?\W*$"
    r"|^\W*有(?:例子|示例|图|圖|依据|依據|证据|證據|案例|数据|數據|来源|來源)[吗嗎]"
    r"|^\W*(?:可以|能|能不能|可不可以|需要|要不要|会不会|會不會|应该|應該"
    r"|是不是).{1,8}[吗嗎？?]\W*$"
    r"|^\W*(?:没有|沒有|如果|要是|万一|萬一).{1,7}(?:怎么办|怎麼辦|的话|的話)"
)
_EDIT = re.compile(
    r"^\W*(?:请|請)?(?:改[成为為用]|去掉|删|刪|加[上入个個一]|添加|补充|補充|修改|润色|潤色"
    r"|翻译成|翻譯成|翻成"
    r"|做成|写成|寫成|换[成个個]|換[成個]|整理成|压缩|壓縮|合并|合併|缩短|縮短|扩写|擴寫"
    r"|总结一下|總結一下|不要|别用|別用)(?!以?下[列面述文边邊]|这|這)"
    r"|^\W*(?:请|請)?[把将將].{1,20}(?:改[成为為]|去掉|删|刪|放[到在]|移到|做成|总结成|總結成)"
    r"|^\W*(?:请|請)?[把将將][^，。“”「『《\d下]{1,20}(?:改|换|換|替换|替換|翻译|翻譯|转[成换]"
    r"|轉[成換]|变成|變成"
    r"|缩短|縮短|扩写|擴寫|优化|優化|调整|調整)"
    r"|^(?!.*(?:如何|怎[么样麼樣]))[^，。]{0,8}[在给給][^，。]{1,10}(?:加上|添加|插入|补充|補充)"
    r"|^[\u3400-\u9fff]{1,5}改[成为為]"
    r"|(?:[对對把将將])(?:程式碼?|程序|代码|代碼|文章|内容|內容|答案|句子|标题|標題|故事|计划|計劃)"
    r"(?=[需要应應怎如做进進加改再翻写寫用])"
)
_QUESTION_WORD = r"[谁誰么麼哪何怎几幾吗嗎呢]"
_ASKED_FOR = (
    r"(?:介绍|介紹|推荐|推薦|写|寫|画|畫|唱|讲|講|描述|了解|夸)(?:一?[下首个個篇段]|你|我"
    r"|[\u3400-\u9fff]{3})"
)
_FRAGMENT = re.compile(
    r"^\W*(?:用|以)[^，。？]{1,14}(?:的?话|的?話|语言|語言|方式|语气|語氣|口吻|文|语|語|表格"
    r"|格式|版|风格|風格)\W*$"
    rf"|^\W*(?!.*{_QUESTION_WORD})(?!你好|您好|{_ASKED_FOR}|谢|謝|再见|再見|早上|晚上|大家|嗨)"
    r"[\u3400-\u9fffA-Za-z\d+#]{1,5}\W*$"
    r"|^\W*(?:(?![我你请請以用把给写寫不要])[\u3400-\u9fff]{2,6}[，,、 ]){2,}(?![我你请請以用把"
    r"给写寫不要])[\u3400-\u9fff]{2,6}\W*$"
    r"|^[一二三四五六七八九十百千\d]+[字个個条條段句点點](?:以内|以內|左右|以上|以下)?\W*$"
)


def _bound(query: Query, position: int) -> bool:
    """Whether an earlier clause of the query says enough to hold what a pronoun stands for."""
    before = query.head[:position]
    if _OWN_POSSESSIVE.search(before):
        return True
    before = before[(lead.end() if (lead := _COURTESY.match(before)) else 0) :]
    ends = [found.end() for found in _CLAUSE_END.finditer(before)]
    return bool(ends) and len(_HAN.findall(before[: ends[-1]])) >= _ANTECEDENT_CHARS


def _named_here(head: str, position: int) -> bool:
    """Whether the query itself says what a demonstrative stands for: 死亡这个话题, 这句话：“…”."""
    if _POINTS_AHEAD.search(head[max(0, position - 2) :]) or any(
        found.start() < position < found.end() for found in _APPOSED.finditer(head)
    ):
        return True
    if _WORDS_QUOTED.match(head, position):
        return True
    noun = _NOUN_AFTER.match(head, position)
    return bool(noun and noun["noun"] in head[:position])


def _points_out(kind: Kind, pattern: re.Pattern[str]) -> ContextRule:
    def find(query: Query) -> tuple[int, int] | None:
        if len(query.text) > _SHORT_CHARS or query.brings_material:
            return None
        for found in pattern.finditer(query.head):
            if kind == "demonstrative" and _named_here(query.head, found.start()):
                continue
            if not _bound(query, found.start()):
                return found.span()
        return None

    return ContextRule(kind, find)


def _rule(
    kind: Kind, pattern: re.Pattern[str], *others: Finder, longest: int = _SHORT_CHARS
) -> ContextRule:
    """The pattern in a short query, or else what the other tests of the same kind find."""

    def find(query: Query) -> tuple[int, int] | None:
        found = None if len(query.text) > longest else first_match(pattern, query)
        return found or next(filter(None, (other(query) for other in others)), None)

    return ContextRule(kind, find)


CONTINUATION = _rule("continuation", _CONTINUATION, find_answer)
PRONOUN = _points_out("pronoun", _PRONOUN)
DEMONSTRATIVE = _points_out("demonstrative", _DEMONSTRATIVE)
DISCOURSE = _rule("discourse", _DISCOURSE, find_told, longest=_TALK_CHARS)
DEFINITE = _rule("definite", _DEFINITE, find_named)
ELLIPSIS = _rule("ellipsis", _ELLIPSIS, find_restyle, find_objectless, find_same_asked)
EDIT = _rule("edit", _EDIT)
FRAGMENT = _rule("fragment", _FRAGMENT)
